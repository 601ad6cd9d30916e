"""Clearway beside what people use instead, on the same clip in the same run (`python -m benchmarks.peers --help`)."""
