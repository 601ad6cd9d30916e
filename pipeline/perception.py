"""From a frame to a scene: preprocess, engine, postprocess, in one thread that owns the engine.

Replay, live runs, profiling and evaluation all go through here, so that a figure measured by one holds for all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from engines.base import Engine
from pipeline.postprocess import Postprocessor
from pipeline.preprocess import Preprocessor
from pipeline.scene import DrivableArea, Frame, RoadUser, Scene, Segmentation
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
        # One for each camera: it keeps arrays of the size of that camera's pictures.
        self._postprocessors: dict[str, Postprocessor] = {}
        self._open = ExitStack()
        self._open.callback(engine.close)

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
        self.see(frame)
        self._timings = unmeasured

    def see(self, frame: Frame) -> Scene:
        """Everything that is known of the road at the moment of that frame.

        Raises:
            EngineError: The inference library failed.
        """
        return self.see_all([frame])[0]

    def see_all(self, frames: Sequence[Frame]) -> list[Scene]:
        """The same for several cameras' frames at once, in one call of the engine.

        The scenes' timings are those of the whole batch, each stage shared out evenly.

        Raises:
            EngineError: The inference library failed.
        """
        watch = Stopwatch(self._timings, share=len(frames))
        tensor = self._preprocessor.prepare(frames)
        watch.lap("preprocess")
        logits = self.engine.infer(tensor)
        watch.lap("engine")
        findings = [self._find(frame, picture) for frame, picture in zip(frames, logits, strict=True)]
        watch.lap("postprocess")
        return [Scene(frame, *found, timings_ms=watch.laps_ms) for frame, found in zip(frames, findings, strict=True)]

    def _find(
        self, frame: Frame, logits: NDArray[np.float32]
    ) -> tuple[Segmentation, DrivableArea, tuple[RoadUser, ...]]:
        postprocessor = self._postprocessors.get(frame.camera)
        if postprocessor is None:
            postprocessor = self._postprocessors[frame.camera] = Postprocessor(self.engine.spec.classes)
        return postprocessor.process(frame, self._preprocessor.content_of(logits, frame.size_hw))

    def close(self) -> None:
        """Free the engine. May be called more than once."""
        self._open.close()

    def __enter__(self) -> Perception:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
