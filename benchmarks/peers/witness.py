"""What is measured of a peer, from inside its own process. The standard library alone: every environment imports it.

A peer calls `tick` before it reads a frame and `seen` when that frame's class map is there. `report` prints one line.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

__all__ = ["Witness", "arguments"]

WARM_FRAMES = 21
"""Frames that do not count: libraries load, kernels compile, channels fill."""


class Witness:
    """Watches one pass through a clip.

    Args:
        rate_hz: How fast frames come, as from a camera; 0 is as fast as they are taken.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._asked_s: list[float] = []
        self._latencies_ms: list[float] = []
        self._first = self._last = (0.0, 0.0)
        self._began_s = 0.0
        self._size_hw: tuple[int, int] = (0, 0)
        self._checked = 0

    def tick(self) -> None:
        """Wait until the next frame is due. Its age counts from then on, decoding included."""
        now_s = time.perf_counter()
        if self._rate_hz > 0:
            self._began_s = self._began_s or now_s
            due_s = self._began_s + len(self._asked_s) / self._rate_hz
            time.sleep(max(0.0, due_s - now_s))
            now_s = max(now_s, due_s)
        self._asked_s.append(now_s)

    def seen(self, class_map) -> None:
        """A frame's class map is there, at the picture's size."""
        now_s = time.perf_counter()
        count = len(self._latencies_ms)
        self._latencies_ms.append((now_s - self._asked_s[count]) * 1e3)
        self._size_hw = (int(class_map.shape[-2]), int(class_map.shape[-1]))
        self._last = (now_s, time.process_time())
        if count == WARM_FRAMES - 1:
            self._first = self._last

    def report(self, engine: str) -> None:
        """Print what was measured, as JSON.

        Args:
            engine: What ran the network, in words.
        """
        frames = len(self._latencies_ms) - WARM_FRAMES
        if frames < 1:
            raise SystemExit(f"only {len(self._latencies_ms)} frames: the clip is too short")
        figures = {
            "engine": engine,
            "frames": frames,
            "size_hw": self._size_hw,
            "fps": frames / (self._last[0] - self._first[0]),
            "cpu_ms": (self._last[1] - self._first[1]) * 1e3 / frames,
            "latencies_ms": [round(value, 3) for value in self._latencies_ms[WARM_FRAMES:]],
            "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        }
        print(json.dumps(figures))


def arguments() -> argparse.Namespace:
    """What every peer is told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="ONNX or OpenVINO file, or a folder to keep one in")
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), help="HxW of the network's input")
    parser.add_argument("--rate", type=float, default=0.0, help="frames a second; 0: as fast as they are taken")
    parser.add_argument("--variant", default="")
    return parser.parse_args()
