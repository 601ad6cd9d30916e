"""Engines: arrays in, arrays out.

The ground floor of the house. An *engine* runs a *model* (an ONNX artefact with its sidecar) on one kind of
hardware. Nothing here knows about frames, cameras or roads, and importing this package imports no inference
library: OpenVINO and ONNX Runtime are imported only when an engine of that kind is opened.
"""
