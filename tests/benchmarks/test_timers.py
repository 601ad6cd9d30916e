"""`benchmarks/timers.py`, which shows what the always-on timers cost, runs, and its figures say what they should."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from benchmarks import timers
from tests.pipeline.recordings import numbered_picture, write_video


def test_the_cost_of_the_timers_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    clip = write_video(tmp_path / "clip.mp4", [numbered_picture(number) for number in range(8)])
    monkeypatch.setattr(sys, "argv", ["timers.py", str(clip), "--frames", "12", "--rounds", "2"])
    timers.main()
    said = capsys.readouterr().out
    share = re.search(r"6 laps: ([\d.]+)% of a frame", said)
    assert share is not None, said
    assert float(share[1]) > 0
