"""From a frame to a scene: preprocess, engine, postprocess, in one thread that owns the engine.

Replay, live runs, profiling and evaluation all go through here, so that a figure measured by one holds for all.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import TracebackType

import numpy as np

from engines.base import Engine
from engines.kernels.picture_path import PictureEngine
from pipeline.picture_classes import PictureClasses
from pipeline.postprocess import Postprocessor
from pipeline.preprocess import Preprocessor
from pipeline.scene import Frame, Scene
from pipeline.timings import StageTimings, Stopwatch

__all__ = ["Perception"]


class Perception:
    """Sees what is in a frame. Opened, called and closed by one thread; closes the engine that it is given.

    Args:
        engine: A model, loaded and ready.
        timings: Where the durations of its three stages are counted.
    """

    def __init__(self, engine: Engine, timings: StageTimings) -> None:
        self.engine = engine
        self._timings = timings
        self._preprocessor = Preprocessor(engine.spec)
        self._postprocessor = Postprocessor(engine.spec.classes)
        self._open = ExitStack()
        self._open.callback(engine.close)
        self._pictures: PictureClasses | None = None
        if isinstance(engine, PictureEngine) and engine.takes_pictures:
            self._pictures = PictureClasses(engine, self._preprocessor)
            self._open.callback(self._pictures.close)

    def warm_up(self, size_hw: tuple[int, int]) -> None:
        """Look at a grey picture of the recording's size, so that no first frame pays for compiling and loading."""
        grey = np.full((*size_hw, 3), 114, np.uint8)
        now_s = time.monotonic()
        frame = Frame(index=0, source_time_s=0.0, captured_at_s=now_s, size_hw=size_hw, to_bgr=lambda: grey)
        unmeasured, self._timings = self._timings, StageTimings()
        self.see(frame)
        self._timings = unmeasured

    def see(self, frame: Frame) -> Scene:
        """Everything that is known of the road at the moment of that frame.

        Raises:
            EngineError: The inference library failed.
        """
        if self._pictures is not None:
            return self._see_on_gpu(frame, self._pictures)
        watch = Stopwatch(self._timings)
        tensor = self._preprocessor.prepare(frame)
        watch.lap("preprocess")
        logits = self.engine.infer(tensor)
        watch.lap("engine")
        content = self._preprocessor.content_of(logits, frame.size_hw)
        segmentation, drivable, road_users = self._postprocessor.process(frame, content)
        watch.lap("postprocess")
        return Scene(frame, segmentation, drivable, road_users, timings_ms=watch.laps_ms)

    def _see_on_gpu(self, frame: Frame, pictures: PictureClasses) -> Scene:
        """The same where preprocessing and finding classes are the GPU's work too: all three count as the engine's."""
        watch = Stopwatch(self._timings)
        (classified,) = pictures.classify([frame])
        watch.lap("engine")
        found = self._postprocessor.process_classes(frame, classified.class_ids, classified.confidence)
        watch.lap("postprocess")
        return Scene(frame, *found, timings_ms=watch.laps_ms)

    def close(self) -> None:
        """Free the engine. May be called more than once."""
        self._open.close()

    def __enter__(self) -> Perception:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
