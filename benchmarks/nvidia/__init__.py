"""What `scripts/gpu_check` and `benchmarks/gpu.py` are made of: inventory, parity, speed, and how it is written."""
