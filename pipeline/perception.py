"""From a frame to a scene: preprocess, engine, smoothing, postprocess, situation, in one thread that owns the engine.

Replay, live runs, profiling and evaluation all go through here, so that a figure measured by one holds for all.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from types import TracebackType
from typing import Literal, TypeGuard

import numpy as np

from engines.base import Engine, Tensor
from engines.kernels.picture_path import PictureEngine
from pipeline.looking import Looked, describe_engines, look_at_each
from pipeline.picture_classes import PictureClasses
from pipeline.postprocess import Postprocessor, Revision
from pipeline.preprocess import Preprocessor
from pipeline.rehearsal import rehearse
from pipeline.scene import DrivableArea, Frame, RoadUser, Scene, Segmentation
from pipeline.situation import Situation
from pipeline.smoothing import Grey, GreyCells, Smoother
from pipeline.timings import StageTimings, Stopwatch

__all__ = ["MEANING_THREAD", "Perception", "smooths"]

MEANING_THREAD = "clearway-meaning"
"""Beginning of the name of the thread that works on the meaning of frames while the engine has the next."""

Findings = tuple[Segmentation, DrivableArea, tuple[RoadUser, ...]]


class Perception:
    """Sees what is in a frame. Opened, called and closed by one thread; closes the engine that it is given.

    Args:
        engine: A model, loaded and ready.
        timings: Where the durations of its stages are counted.
        beside: More engines, opened alike: with them `see_each` looks at several frames at the same time.
        smooth: Whether frames of one camera follow one another, and steady the classes of those after them.
        situate: Makes the situation of a camera, given its name; None leaves scenes in pixels, frame by frame.
    """

    def __init__(
        self,
        engine: Engine,
        timings: StageTimings,
        *,
        beside: Sequence[Engine] = (),
        smooth: bool = False,
        situate: Callable[[str], Situation] | None = None,
    ) -> None:
        self.engine = engine
        self._engines = (engine, *beside)
        self._timings = timings
        self._smooth = smooth
        self._situate = situate
        self._preprocessor = Preprocessor(engine.spec)
        self._cells = GreyCells(engine.spec) if smooth else None
        self._eyes: dict[str, _Eye] = {}
        self._open = ExitStack()
        for each in self._engines:
            self._open.callback(each.close)
        self._pictures: PictureClasses | None = None
        if not smooth and _takes_pictures(engine):
            self._pictures = PictureClasses(engine, self._preprocessor)
            self._open.callback(self._pictures.close)

    @property
    def description(self) -> str:
        """One line for people: the engine, and how many frames are looked at side by side."""
        return describe_engines(self._engines)

    @property
    def capacity(self) -> int:
        """How many frames `see_all` takes at most."""
        return self.engine.spec.input_shape[0]

    def warm_up(self, size_hw: tuple[int, int]) -> None:
        """Look at a grey picture of that size, so that no first frame pays for compiling and loading."""
        grey = np.full((*size_hw, 3), 114, np.uint8)
        now_s = time.monotonic()
        frame = Frame(index=0, source_time_s=0.0, captured_at_s=now_s, size_hw=size_hw, to_bgr=lambda: grey)
        unmeasured, self._timings = self._timings, StageTimings()
        if self._situate is not None:
            rehearse()
        for _ in range(2 if self._smooth else 1):  # Smoothing has nothing to do before the second.
            self.see(frame)
        self.forget()
        self._timings = unmeasured

    def forget(self) -> None:
        """The next frames do not follow those seen before: another recording, or a still image."""
        for eye in self._eyes.values():
            eye.forget()

    def see(self, frame: Frame) -> Scene:
        """Everything that is known of the road at the moment of that frame.

        Raises:
            EngineError: The inference library failed.
        """
        return self.see_all([frame])[0]

    def see_each(self, frames: Iterable[Frame], another_waits: Callable[[], bool] = lambda: True) -> Iterator[Scene]:
        """The scene of every frame, in order, as fast as they come.

        The engine takes the next frame while the meaning of the last one is still worked on, in a thread of its own;
        several engines each have a frame; on a GPU that finds the classes itself, two frames are under way. So a scene
        comes some frames later than with `see`. A live camera does not want that.

        Args:
            frames: In order.
            another_waits: Whether the next frame can be had at once. Where it cannot, as at a recording's own pace, a
                scene is given as soon as it is there.

        Raises:
            EngineError: The inference library failed.
        """
        if self._pictures is None:
            yield from self._see_overlapped(frames, another_waits)
            return
        for frame in frames:
            while not self._pictures.has_room_for(frame):
                yield self._collect(self._pictures)
            with self._timings.measure("preprocess"):
                self._pictures.submit(frame)
        while self._pictures.under_way:
            yield self._collect(self._pictures)

    def _see_overlapped(self, frames: Iterable[Frame], another_waits: Callable[[], bool]) -> Iterator[Scene]:
        meaning: Future[Scene] | None = None
        with (
            ThreadPoolExecutor(1, MEANING_THREAD) as thinking,
            closing(look_at_each(self._engines, frames, self._timings, another_waits, self._cells)) as looking,
        ):
            while True:
                try:
                    looked = next(looking, None)
                except Exception:
                    if meaning is not None:
                        yield meaning.result()  # what was seen before is not lost
                    raise
                if meaning is not None:
                    yield meaning.result()
                if looked is None:
                    return
                meaning = thinking.submit(self._mean, looked)
                if not another_waits():
                    yield meaning.result()
                    meaning = None

    def _mean(self, looked: Looked) -> Scene:
        """What follows the engine."""
        frame = looked.frame
        watch, eye = Stopwatch(self._timings, frame=(frame.camera, frame.index)), self._eye(frame.camera)
        found = self._find([frame], [eye], looked.logits, [looked.grey], watch)
        watch.lap("postprocess")
        scene = self._understand([frame], [eye], found, watch)[0]
        return dataclasses.replace(scene, timings_ms={**looked.laps_ms, **watch.laps_ms})

    def _collect(self, pictures: PictureClasses) -> Scene:
        watch = Stopwatch(self._timings)
        frame, classified = pictures.collect()
        watch.lap("engine")
        eye = self._eye(frame.camera)
        found = eye.postprocessor.process_classes(frame, classified.class_ids, classified.confidence)
        watch.lap("postprocess")
        return self._understand([frame], [eye], [found], watch)[0]

    def see_all(self, frames: Sequence[Frame]) -> list[Scene]:
        """The same for several cameras' frames at once, in one call of the engine.

        The scenes' timings are those of the whole batch, each stage shared out evenly.

        Raises:
            EngineError: The inference library failed.
        """
        watch = Stopwatch(self._timings, share=len(frames))
        eyes = [self._eye(frame.camera) for frame in frames]
        if self._pictures is not None:
            # Preprocessing and finding classes are the GPU's work too: all three count as the engine's.
            classified = self._pictures.classify(frames)
            watch.lap("engine")
            findings = [
                eye.postprocessor.process_classes(frame, classes.class_ids, classes.confidence)
                for eye, frame, classes in zip(eyes, frames, classified, strict=True)
            ]
        else:
            findings = self._find(frames, eyes, *self._infer(frames, watch), watch)
        watch.lap("postprocess")
        return self._understand(frames, eyes, findings, watch)

    def _understand(
        self, frames: Sequence[Frame], eyes: Sequence[_Eye], findings: Sequence[Findings], watch: Stopwatch
    ) -> list[Scene]:
        scenes = [Scene(frame, *found, timings_ms=watch.laps_ms) for frame, found in zip(frames, findings, strict=True)]
        if self._situate is None:
            return scenes
        scenes = [eye.understand(scene) for eye, scene in zip(eyes, scenes, strict=True)]
        watch.lap("situation")
        return scenes

    def _infer(self, frames: Sequence[Frame], watch: Stopwatch) -> tuple[Tensor, Sequence[Grey | None]]:
        tensor = self._preprocessor.prepare(frames)
        greys: list[Grey | None] = [None] * len(frames)
        if self._cells is not None:
            sizes_hw = (self._preprocessor.grid_size_hw(frame.size_hw) for frame in frames)
            greys = [self._cells.average(*each) for each in zip(tensor, sizes_hw, strict=True)]
        watch.lap("preprocess")
        logits = self.engine.infer(tensor)
        watch.lap("engine")
        return logits.copy() if self._smooth else logits, greys  # smoothing keeps them

    def _find(
        self,
        frames: Sequence[Frame],
        eyes: Sequence[_Eye],
        logits: Tensor,
        greys: Sequence[Grey | None],
        watch: Stopwatch,
    ) -> list[Findings]:
        contents = [
            self._preprocessor.content_of(picture, frame.size_hw) for picture, frame in zip(logits, frames, strict=True)
        ]
        if self._smooth:
            contents = [
                eye.steady(grey, content, frame.source_time_s)
                for eye, grey, content, frame in zip(eyes, greys, contents, frames, strict=True)
            ]
            watch.lap("smoothing")
        return [
            eye.postprocessor.process(frame, content, eye.revision)
            for eye, frame, content in zip(eyes, frames, contents, strict=True)
        ]

    def _eye(self, camera: str) -> _Eye:
        eye = self._eyes.get(camera)
        if eye is None:
            situation = None if self._situate is None else self._situate(camera)
            eye = self._eyes[camera] = _Eye(self.engine, situation, smooth=self._smooth)
            self._open.callback(eye.forget)
        return eye

    def close(self) -> None:
        """Free the engine. May be called more than once."""
        self._open.close()

    def __enter__(self) -> Perception:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def smooths(setting: Literal["auto", "on", "off"], engine: Engine, *, by_default: bool) -> bool:
    """Whether a perception with that engine is to smooth.

    Args:
        setting: What the user wants. "auto" smooths where that is right and costs little: not where a GPU finds the
            classes itself, because smoothing needs the logits, and all of them would have to come down.
        engine: The engine that will be used.
        by_default: Whether smoothing is right for these frames.
    """
    return setting == "on" or (setting == "auto" and by_default and not _takes_pictures(engine))


def _takes_pictures(engine: Engine) -> TypeGuard[PictureEngine]:
    return isinstance(engine, PictureEngine) and engine.takes_pictures


class _Eye:
    """What is kept of one camera from frame to frame: its past, and arrays of its pictures' size."""

    def __init__(self, engine: Engine, situation: Situation | None, *, smooth: bool) -> None:
        self._situation = situation
        self.postprocessor = Postprocessor(engine.spec.classes, confidence=engine.spec.confidence)
        self._smoother = Smoother(engine.spec) if smooth else None
        self.revision: Revision | None = self._smoother.hold if self._smoother is not None else None

    def steady(self, grey: Grey | None, logits: Tensor, time_s: float) -> Tensor:
        return logits if self._smoother is None or grey is None else self._smoother.blend(grey, logits, time_s)

    def understand(self, scene: Scene) -> Scene:
        return scene if self._situation is None else self._situation.understand(scene)

    def forget(self) -> None:
        if self._smoother is not None:
            self._smoother.forget()
        if self._situation is not None:
            self._situation.forget()
