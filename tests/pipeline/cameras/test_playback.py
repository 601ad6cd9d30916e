"""A recording as a camera: at its own speed, whatever the machine is busy with."""

from __future__ import annotations

import time
from pathlib import Path

from pipeline.cameras.address import CameraConfig
from pipeline.cameras.playback import PlaybackConnection
from tests.pipeline.recordings import numbered_picture, write_video


def test_what_a_busy_machine_missed_is_not_made_up_for_in_a_hurry(tmp_path: Path):
    clip = write_video(tmp_path / "clip.mp4", [numbered_picture(number, (96, 160)) for number in range(40)])
    connection = PlaybackConnection(CameraConfig(str(clip), name="front"))
    try:
        period_s = connection._period_s
        connection.read()
        time.sleep(1.0)
        times_s = [connection.read().pictures[0].stream_s for _ in range(6)]
    finally:
        connection.close()
    # After a second of nothing, the five frames after the next take the time that they were taken in.
    assert times_s[-1] - times_s[0] > 4.5 * period_s
