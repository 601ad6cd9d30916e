"""Preprocessing and the engine, for frames that follow one another: one after the other, or several side by side.

A processor's cores wait for one another within a picture, over and over, at every layer. Each with a picture of its own
they need not: on two cores that is a tenth less processor time for the same classes, bit for bit. The price is that a
picture takes nearly twice as long, so a replay does it and a live camera does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from engines.base import Engine, Tensor
from pipeline.preprocess import Preprocessor
from pipeline.scene import Frame
from pipeline.timings import StageTimings, Stopwatch

__all__ = ["LOOKING_THREAD", "Looked", "describe_engines", "look_at_each"]

LOOKING_THREAD = "clearway-looking"
"""Beginning of the names of the threads in which several engines look at frames side by side."""


class Looked(NamedTuple):
    """A frame that an engine has looked at.

    Attributes:
        frame: Which.
        tensor: (1, C, H, W), what the engine was given; unchanged until the next but one after this was taken.
        logits: (1, K, h, w), its own.
        laps_ms: How long preprocessing and the engine took.
    """

    frame: Frame
    tensor: Tensor
    logits: Tensor
    laps_ms: Mapping[str, float]


def describe_engines(engines: Sequence[Engine]) -> str:
    """One line for people: what each is, and how many there are."""
    several = f", {len(engines)} frames side by side" if len(engines) > 1 else ""
    return engines[0].description + several


def look_at_each(
    engines: Sequence[Engine],
    frames: Iterable[Frame],
    timings: StageTimings,
    another_waits: Callable[[], bool],
) -> Generator[Looked, None, None]:
    """What the engines say of every frame, in order.

    With one engine all of it happens in the caller's thread, when the next result is asked for. With several, each has
    a thread of its own, and one frame more is under way than there are engines, so that none of them ever waits.

    Args:
        engines: Of the same model, opened alike.
        frames: In order.
        timings: Where preprocessing and the engine are counted.
        another_waits: Whether the next frame can be had at once; where it cannot, results are given as they come.

    Raises:
        EngineError: An inference library failed; what was seen before has been given.
    """
    lookers = [_Looker(engine, timings) for engine in engines]
    if len(lookers) == 1:
        yield from map(lookers[0].look, frames)
        return
    under_way: deque[Future[Looked]] = deque()
    with ExitStack() as stack:
        threads = [ThreadPoolExecutor(1, f"{LOOKING_THREAD}-{number}") for number in range(1, len(lookers) + 1)]
        for thread in threads:
            stack.callback(partial(thread.shutdown, cancel_futures=True))
        for number, frame in enumerate(frames):
            place = number % len(lookers)
            under_way.append(threads[place].submit(lookers[place].look, frame))
            while under_way and (len(under_way) > len(lookers) or not another_waits()):
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


class _Looker:
    """An engine, and what prepares its input. Used by one thread at a time."""

    def __init__(self, engine: Engine, timings: StageTimings) -> None:
        self._engine = engine
        self._timings = timings
        # Two tensors in turns: the last one is still looked at, by the smoothing, while the engine has the next.
        self._preprocessor, self._other = Preprocessor(engine.spec), Preprocessor(engine.spec)

    def look(self, frame: Frame) -> Looked:
        self._preprocessor, self._other = self._other, self._preprocessor
        watch = Stopwatch(self._timings, frame=(frame.camera, frame.index))
        tensor = self._preprocessor.prepare([frame])
        watch.lap("preprocess")
        logits = self._engine.infer(tensor)
        watch.lap("engine")
        return Looked(frame, tensor, logits.copy(), watch.laps_ms)
