"""Real parts of the pipeline that break on demand, and count what they are told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from engines.base import Engine, Tensor
from pipeline.scene import BgrImage, Frame, Scene
from pipeline.sources import Source, SourceInfo


class Fault(RuntimeError):  # noqa: N818 - reads better in what it breaks
    """The injected failure, and when it struck."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.raised_at_s = time.monotonic()


class BreakingSource:
    """A source that raises after so many frames; None never."""

    def __init__(self, source: Source, after: int | None = None) -> None:
        self._source, self._after = source, after
        self.closed = False

    @property
    def info(self) -> SourceInfo:
        return self._source.info

    def frames(self) -> Iterator[Frame]:
        for count, frame in enumerate(self._source.frames()):
            if count == self._after:
                raise Fault("source")
            yield frame

    def close(self) -> None:
        self.closed = True
        self._source.close()


class BreakingEngine:
    """An engine that raises after so many inferences; None never."""

    def __init__(self, engine: Engine, after: int | None = None) -> None:
        self._engine, self._after, self._count = engine, after, 0
        self.closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def infer(self, tensor: Tensor) -> Tensor:
        self._count += 1
        if self._after is not None and self._count > self._after:
            raise Fault("engine")
        return self._engine.infer(tensor)

    def close(self) -> None:
        self.closed = True
        self._engine.close()


class CountingSink:
    """A sink that keeps the indices it was given, and raises when told to: after so many scenes, or at its end."""

    def __init__(
        self, *, after: int | None = None, at_close: bool = False, overlay: bool = True, main_thread: bool = False
    ) -> None:
        self.name = "counting"
        self.needs_overlay = overlay
        self.on_main_thread = main_thread
        self.indices: list[int] = []
        self.closed = 0
        self._after, self._at_close = after, at_close

    def write(self, scene: Scene, picture: BgrImage | None) -> None:
        if len(self.indices) == self._after:
            raise Fault("sink")
        assert (picture is not None) == self.needs_overlay
        self.indices.append(scene.frame.index)

    def close(self) -> None:
        self.closed += 1
        if self._at_close and self.closed == 1:
            raise Fault("closing")
