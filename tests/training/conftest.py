"""Real frames, few enough to train on within a test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def few_frames(driving_data: Path, tmp_path: Path) -> Path:
    """Eight labelled frames of CamVid, laid out as the whole is: a folder for `--data`."""
    source, target = driving_data / "camvid" / "train", tmp_path / "data" / "camvid" / "train"
    for image in sorted((source / "images").iterdir())[:8]:
        for file in (image, source / "labels" / f"{image.stem}.png"):
            (target / file.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target / file.parent.name)
    return tmp_path / "data"
