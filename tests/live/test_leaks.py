"""Connections come and go; memory, threads and descriptors stay."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from tests.live.cameras import RtspCamera
from tests.live.processes import LiveProcess, Usage, wait_until

WARM_UP_CYCLES = 10
MORE_MEMORY_MIB = 12.0
"""What the allocator may keep; a leak of one 320x240 picture (0.2 MiB) a cycle is more after a hundred."""


@pytest.mark.parametrize("cycles", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_connections_leave_nothing_behind(
    rtsp_camera: Callable[..., RtspCamera], tmp_path: Path, note: Callable[..., None], cycles: int
):
    # MJPEG: every picture is a key frame, so that a cycle need not wait for one.
    camera = rtsp_camera("--codec", "mjpeg", "--size", "320x240", "--rate", "50")
    usages: list[Usage] = []
    with LiveProcess([camera.uri], "--size", "96x160", "--threads", 1, "--quiet", folder=tmp_path) as run:
        wait_until(lambda: any(scene["camera"]["state"] == "live" for scene in run.scenes), 60, "the first scene")
        for _ in range(cycles):
            camera.tell("drop")
            wait_until(lambda: camera.tell("clients") == "1", 20, "the connection to come back")
            time.sleep(0.08)  # some pictures
            usages.append(run.usage)
        assert run.end() == 130, run.messages
    figures = run.figures
    assert figures["reconnects"] >= 0.9 * cycles, "cycles without a picture prove nothing"
    steady = usages[WARM_UP_CYCLES:]
    quarter = len(steady) // 4
    first, last = steady[:quarter], steady[-quarter:]
    grown_mib = median(usage.rss_mib for usage in last) - median(usage.rss_mib for usage in first)
    note(
        cycles=cycles,
        reconnects=figures["reconnects"],
        rss_mib=[median(usage.rss_mib for usage in part) for part in (first, last)],
        threads=[median(usage.threads for usage in part) for part in (first, last)],
        descriptors=[median(usage.descriptors for usage in part) for part in (first, last)],
    )
    assert grown_mib < MORE_MEMORY_MIB
    assert median(usage.threads for usage in last) <= median(usage.threads for usage in first)
    assert median(usage.descriptors for usage in last) <= median(usage.descriptors for usage in first) + 1
