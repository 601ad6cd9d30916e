"""How long a frame of the rendered drive takes, picture and truth together, on one thread and on two.

python benchmarks/synthetic.py [--frames 60]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.synthetic import SyntheticDrive

SEEDS = (1, 2, 3, 4, 5)


def measure_ms(size_hw: tuple[int, int], threads: int, frame_count: int) -> np.ndarray:
    """Milliseconds of wall clock for frames spread over several seeds."""
    samples = []
    for seed in SEEDS:
        drive = SyntheticDrive(seed, 300, size_hw, threads=threads)
        drive.render(0)
        for index in np.linspace(0, 299, frame_count // len(SEEDS)).astype(int):
            start = time.perf_counter()
            drive.render(int(index))
            samples.append(1e3 * (time.perf_counter() - start))
        drive.close()
    return np.array(samples)


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200, help="frames to time at each size")
    frame_count = parser.parse_args().frames
    start = time.perf_counter()
    SyntheticDrive(1, 1, (90, 160)).render(0)
    print(f"first frame, kernels compiled or loaded: {time.perf_counter() - start:.1f} s")
    for height, width in ((360, 640), (720, 1280)):
        for threads in (1, 2):
            low, median, high = np.percentile(measure_ms((height, width), threads, frame_count), [5, 50, 95])
            speed = f"median {median:.2f} ms ({1e3 / median:.0f} frames/s), p5 {low:.2f}, p95 {high:.2f}"
            print(f"{width}x{height}, threads {threads}: {speed}")


if __name__ == "__main__":
    main()
