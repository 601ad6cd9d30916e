"""What a frame costs in a steady run, in bytes and conversions instead of milliseconds: the same on every machine.

NumPy reports every array to `tracemalloc`, those that OpenCV returns included. A copy of a picture on the way from
decoder to scene is a peak that nothing else there reaches. FFmpeg's own memory is not seen that way: conversions to
BGR, which it does, are counted instead. The last tests put such a copy in, and see it caught.
"""

from __future__ import annotations

import dataclasses
import gc
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from engines.artifact import find_model, load_artifact
from engines.factory import open_engine, open_engines
from pipeline.capture import Capture
from pipeline.config import load_view
from pipeline.overlay import OverlayPainter
from pipeline.perception import Perception
from pipeline.preprocess import Preprocessor
from pipeline.runner import Runner
from pipeline.scene import BgrImage, Frame, Scene
from pipeline.sinks import Sink
from pipeline.sinks.video import VideoSink
from pipeline.situation import Situation, SituationSettings
from pipeline.sources import open_source
from pipeline.synthetic import SyntheticDrive
from pipeline.timings import StageTimings
from tests.pipeline.calibration import write_calibration
from tests.pipeline.faults import CountingSink
from tests.pipeline.recordings import write_video

SIZE_HW = (720, 1280)
LUMA_BYTES = SIZE_HW[0] * SIZE_HW[1]
NETWORK_HW = (184, 320)
WARM_FRAMES, FRAMES = 5, 4

DECODE_LIMIT = 16 * 1024
"""A frame is made of views of the decoder's own memory."""
SEE_LIMIT = LUMA_BYTES * 3 // 8
"""Planes at the network's size, grids of the network's output, runs: all far smaller than any plane of the picture."""
MEASURE_LIMIT = LUMA_BYTES * 3 // 4
"""The vehicle's motion is found on some thousand places of the road: less than any whole plane."""
KEPT_LIMIT = LUMA_BYTES // 8
"""Of a scene that somebody holds, beside the two maps of image size that come from a pool."""
DRAW_PLANES_LIMIT = LUMA_BYTES // 4
"""Masks of road users and their outlines; the drawn picture comes from a pool."""
DRAW_LIMIT = 3 * LUMA_BYTES + LUMA_BYTES // 2
"""The drawn picture itself, which sinks keep: less than one more layer of its size."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A street that stands still: what a scene holds must not change from frame to frame."""
    drive = SyntheticDrive(1, 1, SIZE_HW, threads=2)
    pictures = [drive.render(0).image] * (WARM_FRAMES + FRAMES)
    drive.close()
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", pictures, options={"preset": "ultrafast"})


@pytest.fixture(scope="module")
def perception() -> Iterator[Perception]:
    """As `replay` opens it: tracking, visibility and alerts included."""
    engine = open_engine(load_artifact(find_model("clearway-lite")), size_hw=NETWORK_HW, threads=1)
    with Perception(engine, StageTimings(), situate=lambda _: Situation(SituationSettings())) as perception:
        yield perception


@pytest.fixture(scope="module")
def measuring(clip: Path) -> Iterator[Perception]:
    """The same for a calibrated camera: in metres too."""
    engine = open_engine(load_artifact(find_model("clearway-lite")), size_hw=NETWORK_HW, threads=1)
    view = load_view(*map(str, write_calibration(clip.parent, SIZE_HW)))
    with Perception(engine, StageTimings(), situate=lambda _: Situation(SituationSettings(view))) as perception:
        yield perception


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    """Allocations are watched, and garbage is not collected in the middle of a measurement."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


def peak_bytes(work: Callable[[], object]) -> int:
    """Most bytes that some work held at once, on top of what was there before."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    result = work()
    peak = tracemalloc.get_traced_memory()[1] - before
    del result
    return peak


def worst_frame(clip: Path, work: Callable[[Frame], object]) -> int:
    """The largest peak over the frames of a run, once its buffers are there."""
    peaks = [peak_bytes(lambda frame=frame: work(frame)) for frame in open_source(str(clip)).frames()]
    return max(peaks[WARM_FRAMES:])


def test_decoding_copies_no_picture(clip: Path):
    frames = open_source(str(clip)).frames()
    peaks = [peak_bytes(lambda: next(frames)) for _ in range(WARM_FRAMES + FRAMES)]
    assert max(peaks[WARM_FRAMES:]) < DECODE_LIMIT


def test_seeing_copies_no_picture(clip: Path, perception: Perception):
    assert worst_frame(clip, perception.see) < SEE_LIMIT


def test_measuring_copies_no_picture(clip: Path, measuring: Perception):
    assert worst_frame(clip, measuring.see) < MEASURE_LIMIT


def test_a_scene_that_is_kept_holds_two_maps_of_the_pool_and_little_else(clip: Path, measuring: Perception):
    scenes: list[Scene] = []
    kept: list[int] = []
    for frame in open_source(str(clip)).frames():
        before = tracemalloc.get_traced_memory()[0]
        scenes.append(measuring.see(frame))
        kept.append(tracemalloc.get_traced_memory()[0] - before)
    assert max(kept[WARM_FRAMES:]) < 2 * LUMA_BYTES + KEPT_LIMIT


def test_drawing_makes_the_picture_and_no_other(clip: Path, measuring: Perception):
    painter = OverlayPainter()
    peaks = []
    for frame in open_source(str(clip)).frames():
        scene = measuring.see(frame)
        _ = scene.frame.image  # the one conversion
        peaks.append(peak_bytes(lambda scene=scene: painter.draw(scene)))
    assert max(peaks[WARM_FRAMES:]) < DRAW_LIMIT


class CountedSource:
    """A recording that counts how often a BGR picture is asked for."""

    def __init__(self, clip: Path) -> None:
        self._source = open_source(str(clip))
        self.info = self._source.info
        self.conversions = 0

    def frames(self) -> Iterator[Frame]:
        for frame in self._source.frames():
            yield dataclasses.replace(frame, to_bgr=lambda frame=frame: self._convert(frame))

    def _convert(self, frame: Frame) -> BgrImage:
        self.conversions += 1
        return frame.to_bgr()

    def close(self) -> None:
        self._source.close()


def replay(clip: Path, *sinks: Sink) -> CountedSource:
    """A whole replay, threads and all."""
    source, timings = CountedSource(clip), StageTimings()

    def open_perception() -> Perception:
        artifact = load_artifact(find_model("clearway-lite"))
        engine, *beside = open_engines(artifact, size_hw=NETWORK_HW, threads=2)
        view = load_view(*map(str, write_calibration(clip.parent, SIZE_HW)))
        return Perception(engine, timings, beside=beside, situate=lambda _: Situation(SituationSettings(view)))

    Runner(Capture(source, timings), open_perception, sinks, timings).run()
    return source


def test_a_replay_without_pictures_converts_none(clip: Path):
    assert replay(clip).conversions == 0


def test_a_replay_to_a_video_draws_upon_the_planes_and_converts_none(clip: Path, tmp_path: Path):
    assert replay(clip, VideoSink(tmp_path / "overlay.mp4")).conversions == 0


def test_drawing_upon_planes_makes_nothing_of_the_pictures_size(clip: Path, perception: Perception):
    painter = OverlayPainter()
    peaks = []
    for frame in open_source(str(clip)).frames():
        scene = perception.see(frame)
        peaks.append(peak_bytes(lambda scene=scene: painter.draw_planes(scene)))
    assert max(peaks[WARM_FRAMES:]) < DRAW_PLANES_LIMIT


def test_a_replay_converts_each_frame_once_for_all_its_sinks(clip: Path):
    sinks = CountingSink(), CountingSink()
    assert replay(clip, *sinks).conversions == WARM_FRAMES + FRAMES


# The guard itself.


def test_a_copy_of_one_chroma_plane_is_caught(clip: Path, perception: Perception, monkeypatch: pytest.MonkeyPatch):
    fill = Preprocessor._fill_from_planes

    def fill_from_a_copy(self: Preprocessor, planes, content):
        fill(self, dataclasses.replace(planes, u=planes.u.copy()), content)

    monkeypatch.setattr(Preprocessor, "_fill_from_planes", fill_from_a_copy)
    assert worst_frame(clip, perception.see) > SEE_LIMIT


def test_a_copy_of_one_plane_is_caught(clip: Path, perception: Perception, monkeypatch: pytest.MonkeyPatch):
    fill = Preprocessor._fill_from_planes

    def fill_from_a_copy(self: Preprocessor, planes, content):
        fill(self, dataclasses.replace(planes, y=planes.y.copy()), content)

    monkeypatch.setattr(Preprocessor, "_fill_from_planes", fill_from_a_copy)
    assert worst_frame(clip, perception.see) > SEE_LIMIT


def test_a_conversion_to_bgr_is_counted(clip: Path, monkeypatch: pytest.MonkeyPatch):
    prepare = Preprocessor.prepare
    monkeypatch.setattr(
        Preprocessor, "prepare", lambda self, frames: prepare(self, [frame for frame in frames if frame.image.size])
    )
    assert replay(clip).conversions == WARM_FRAMES + FRAMES


def test_a_class_map_that_is_made_anew_is_caught(clip: Path, perception: Perception, monkeypatch: pytest.MonkeyPatch):
    from pipeline.postprocess.pool import ImagePool

    monkeypatch.setattr(ImagePool, "take", lambda pool: np.empty(pool.size_hw, np.uint8))
    assert worst_frame(clip, perception.see) > SEE_LIMIT
