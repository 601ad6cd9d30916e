"""The shipped network against the truth: on the rendered street everywhere, on real streets where the data is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.artifact import find_model, load_artifact
from engines.factory import open_engine
from evaluation.accuracy import ConfusionMatrix
from evaluation.command import measure
from evaluation.labelled import LabelledFrame, LabelledSet, open_labelled
from pipeline.errors import SourceError
from tests.pipeline.recordings import numbered_picture

PROJECT = Path(__file__).resolve().parents[2]


def every(step: int, frames: Iterator[LabelledFrame]) -> Iterator[LabelledFrame]:
    """One frame of so many: neighbours in a recording say the same."""
    return (item for position, item in enumerate(frames) if position % step == 0)


def accuracy(labelled: LabelledSet, size_hw: tuple[int, int]) -> ConfusionMatrix:
    engine = open_engine(load_artifact(find_model("clearway-lite")), size_hw=size_hw)
    return measure(labelled, engine)[0]


def iou_of(matrix: ConfusionMatrix) -> dict[str, float]:
    return {entry.name: float(value) for entry, value in zip(matrix.classes, matrix.iou, strict=True)}


def test_the_rendered_street_is_seen_on_drives_never_trained_on():
    total: ConfusionMatrix | None = None
    for seed in (11, 12, 13, 14):  # training uses seeds from 1000 on
        labelled = open_labelled(f"synthetic://drive?frames=240&seed={seed}", "synthetic")
        sampled = LabelledSet(every(20, labelled.frames), labelled.classes, labelled.size_hw)
        matrix = accuracy(sampled, (360, 640))
        if total is None:
            total = matrix
        else:
            total.counts += matrix.counts
    assert total is not None
    iou = iou_of(total)
    assert iou["road"] >= 0.90
    assert iou["person"] >= 0.40


@pytest.mark.data
def test_real_streets_at_dusk_are_seen_as_the_model_card_says(driving_data: Path):
    matrix = accuracy(open_labelled(str(driving_data / "camvid" / "dusk"), "camvid"), (360, 480))
    assert matrix.mean_iou == pytest.approx(0.645, abs=0.01)
    assert iou_of(matrix)["road"] == pytest.approx(0.895, abs=0.01)


def test_the_command_measures_masks_written_by_replay_as_perfect(tmp_path: Path):
    """What replay writes, evaluate reads: labels made by the network itself are met exactly."""
    images = tmp_path / "images"
    images.mkdir()
    for number in range(3):
        cv2.imwrite(str(images / f"street{number}.png"), numbered_picture(number, (120, 160)))
    run = [sys.executable, str(PROJECT / "launch.py")]
    subprocess.run([*run, "replay", str(images), f"{tmp_path}/labels/", "--quiet"], check=True)
    figures = tmp_path / "figures.json"
    subprocess.run([*run, "evaluate", "--data", str(tmp_path), "--json", str(figures)], check=True, capture_output=True)
    report = json.loads(figures.read_text())
    assert report["frames"] == 3
    assert report["miou"] == 1.0
    assert report["pixel_accuracy"] == 1.0


def test_an_image_without_its_label_is_named(tmp_path: Path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "lonely.png"), np.zeros((40, 60, 3), np.uint8))
    with pytest.raises(SourceError, match=r"label of image lonely is missing"):
        next(open_labelled(str(tmp_path), "folder").frames)


def test_a_folder_of_another_layout_is_refused(tmp_path: Path):
    with pytest.raises(SourceError, match="needs the folders images/ and labels/"):
        open_labelled(str(tmp_path), "camvid")
