"""Evaluation: how right (metrics) and how fast (timings) the pipeline is, measured through the pipeline itself."""
