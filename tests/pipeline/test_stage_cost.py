"""What the stages cost, in passes over the picture instead of milliseconds: a ratio of two figures of the same run.

The unit is one look-up a pixel, each waiting for the one before, over a picture of the same size. Both sides are CPU
time of the thread alone, the least of many repetitions: on a machine twelve times overloaded the ratios moved by 5 % at
most. Limits are some two and a half times what was measured, for other processors: a kernel that is not vectorised any
more, or a way over BGR, takes more than that; the last tests put such things in, and see them caught. Small changes are
for `profile --compare`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from engines.artifact import find_model, load_artifact
from pipeline.jit import kernel
from pipeline.overlay import OverlayPainter
from pipeline.postprocess import Postprocessor, encode_runs, segment
from pipeline.preprocess import Preprocessor
from pipeline.scene import Frame, Scene, YuvImage
from pipeline.situation import Situation, SituationSettings
from pipeline.smoothing import GreyCells, Smoother
from pipeline.sources.synthetic import road_view_of
from pipeline.synthetic import SyntheticDrive
from pipeline.yuv import fill_planes, yuv_weights

SIZE_HW, INPUT_HW, GRID_HW = (720, 1280), (360, 640), (90, 160)

LIMITS = {"preprocess": 0.25, "postprocess": 3.5, "overlay": 3.4, "conversion": 0.8, "smoothing": 0.9, "situation": 3.4}
"""Passes; measured: 0.09, 1.4, 1.3, 0.31, 0.33 and 1.3; with 45 road users."""


@kernel()
def look_up(picture: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    for place in range(picture.size):
        out[place] = table[out[place - 1] ^ picture[place]]


def least_ms(work: Callable[[], object], repetitions: int = 15) -> float:
    """CPU time of this thread: the least of all repetitions, the first left out."""
    work()
    times_ms = []
    for _ in range(repetitions):
        began_s = time.thread_time()
        work()
        times_ms.append((time.thread_time() - began_s) * 1e3)
    return min(times_ms)


@pytest.fixture(scope="module")
def pass_ms() -> float:
    """One look-up for each pixel."""
    generator = np.random.default_rng(0)
    picture, table = (generator.integers(0, 256, size, np.uint8) for size in (SIZE_HW[0] * SIZE_HW[1], 256))
    out = np.zeros_like(picture)
    return least_ms(lambda: look_up(picture, table, out))


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A rendered street as a decoder and a perfect network give it."""
    drive = SyntheticDrive(1, 1, SIZE_HW, threads=1)
    shown = drive.render(0)
    drive.close()
    picture = YuvImage(np.empty((SIZE_HW[0] * 3 // 2, SIZE_HW[1]), np.uint8), "bt709", False)
    planes = picture.planes
    fill_planes(shown.image.reshape(SIZE_HW[0], -1), yuv_weights(), planes.y, planes.u, planes.v)
    frame = Frame(0, 0.0, 0.0, SIZE_HW, shown.image.copy, planes=planes, view=road_view_of(shown.camera, SIZE_HW))
    artifact = load_artifact(find_model("clearway-lite"))
    found = Postprocessor(artifact.classes).process(frame, logits_of(shown.class_ids, len(artifact.classes)))
    return Scene(frame, *found)


def logits_of(class_ids: np.ndarray, classes: int, seed: int = 1) -> np.ndarray:
    rows, columns = (np.arange(grid) * (size // grid) for grid, size in zip(GRID_HW, SIZE_HW, strict=True))
    coarse = np.minimum(class_ids[np.ix_(rows, columns)], classes - 1)
    noise = np.random.default_rng(seed).normal(0, 0.5, (classes, *GRID_HW))
    return (noise + 6 * (np.arange(classes)[:, None, None] == coarse)).astype(np.float32)


def preprocess(scene: Scene) -> Callable[[], object]:
    artifact = load_artifact(find_model("clearway-lite"))
    spec = artifact.spec((1, 3, *INPUT_HW), (1, len(artifact.classes), *GRID_HW))
    preprocessor = Preprocessor(spec)
    return lambda: preprocessor.prepare([scene.frame])


def postprocess(scene: Scene) -> Callable[[], object]:
    classes = scene.segmentation.classes
    postprocessor, logits = Postprocessor(classes), logits_of(scene.segmentation.class_ids, len(classes))
    return lambda: postprocessor.process(scene.frame, logits)


def overlay(scene: Scene) -> Callable[[], object]:
    painter = OverlayPainter()
    return lambda: painter.draw_planes(scene)


def conversion(scene: Scene) -> Callable[[], object]:
    image, drawn = scene.frame.image, YuvImage(np.empty((SIZE_HW[0] * 3 // 2, SIZE_HW[1]), np.uint8), "bt709", False)
    planes = drawn.planes
    return lambda: fill_planes(image.reshape(SIZE_HW[0], -1), yuv_weights(), planes.y, planes.u, planes.v)


def smoothing(scene: Scene) -> Callable[[], object]:
    """Two pictures in turns whose doubtful cells differ, so that there is something to blend and to hold."""
    artifact = load_artifact(find_model("clearway-lite"))
    spec = artifact.spec((1, 3, *INPUT_HW), (1, len(artifact.classes), *GRID_HW))
    smoother, cells, tensor = Smoother(spec), GreyCells(spec), Preprocessor(spec).prepare([scene.frame]).copy()
    logits = [logits_of(scene.segmentation.class_ids, len(artifact.classes), seed) for seed in (1, 2)]
    seen = [
        (segmentation.class_ids, encode_runs(segmentation.class_ids))
        for segmentation in (segment(some, artifact.classes, SIZE_HW) for some in logits)
    ]
    turns = count()

    def smooth() -> None:
        turn = next(turns)
        blend = smoother.blend(cells.average(tensor[0], GRID_HW), logits[turn % 2].copy(), turn / 30)
        class_ids, runs = seen[turn % 2]
        smoother.hold(class_ids.copy(), runs, blend)

    return smooth


def situation(scene: Scene) -> Callable[[], object]:
    """Metres, road users followed, visibility and alerts: all but the network's own."""
    camera, turns = Situation(SituationSettings()), count()

    def understand() -> None:
        frame = replace(scene.frame, source_time_s=next(turns) / 30)
        camera.understand(replace(scene, frame=frame))

    return understand


@pytest.mark.parametrize("stage", [preprocess, postprocess, overlay, conversion, smoothing, situation])
def test_a_stage_takes_no_more_passes_than_it_may(
    stage: Callable[[Scene], Callable[[], object]], scene: Scene, pass_ms: float
):
    assert least_ms(stage(scene)) / pass_ms < LIMITS[stage.__name__]


# The guard itself.


def test_a_preprocess_that_goes_by_way_of_bgr_is_caught(scene: Scene, pass_ms: float):
    image = scene.frame.image

    def by_way_of_bgr() -> None:
        picture = image.astype(np.float32)
        preprocess(replace(scene, frame=replace(scene.frame, planes=None, to_bgr=lambda: picture.astype(np.uint8))))()

    assert least_ms(by_way_of_bgr, 5) / pass_ms > LIMITS["preprocess"]


def test_a_conversion_pixel_by_pixel_is_caught(scene: Scene, pass_ms: float):
    @kernel()
    def one_by_one(picture: np.ndarray, out: np.ndarray) -> None:
        last = 0
        for y in range(out.shape[0]):
            for x in range(out.shape[1]):
                for channel in range(3):
                    last = (last * 3 + picture[y, 3 * x + channel] * 54) >> 8
                out[y, x] = last & 255

    picture, out = scene.frame.image.reshape(SIZE_HW[0], -1), np.empty(SIZE_HW, np.uint8)
    assert least_ms(lambda: one_by_one(picture, out), 5) / pass_ms > LIMITS["conversion"]
