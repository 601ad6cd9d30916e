"""The live run as it is, with a recording that plays as its cameras."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipeline.cameras.address import CameraConfig
from pipeline.cameras.camera import Camera
from pipeline.cameras.mailbox import Mailbox
from pipeline.live.report import live_figures
from pipeline.live.runner import LiveRunner
from pipeline.perception import Perception
from pipeline.timings import StageTimings

__all__ = ["run_cameras"]


def run_cameras(
    uri: str,
    cameras: int,
    timings: StageTimings,
    open_perception: Callable[[tuple[int, int], int], Perception],
    duration_s: float,
) -> dict[str, int]:
    """Let a recording play as so many cameras, at its own speed and over and over, and run live on them.

    Args:
        uri: The recording.
        cameras: How many times it plays at once.
        timings: Where stages are counted.
        open_perception: Opens the engine for pictures of a size and a number of cameras, in the thread that owns it.
        duration_s: How long, counted from the moment at which the engine is open.

    Returns:
        Frames that did not become scenes, by cause (`pipeline.live.status.DROP_CAUSES`).

    Raises:
        ClearwayError: The recording cannot be played, or the engine not opened.
    """
    names = [f"camera-{number}" for number in range(1, cameras + 1)]
    address = uri if "://" in uri else f"{uri}?loop"
    mailbox, started_s = Mailbox(names), time.monotonic()
    runner = LiveRunner(
        [Camera(CameraConfig(address, name=name), mailbox, timings, started_s) for name in names],
        mailbox,
        open_perception,
        [],
        timings,
        started_s=started_s,
        duration_s=duration_s,
    )
    runner.run()
    dropped: dict[str, int] = live_figures(runner.status(), runner.age_ms())["dropped"]
    return dropped
