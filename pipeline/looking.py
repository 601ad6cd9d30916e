"""Preprocessing and the engine, for frames that follow one another: one after the other, or several side by side.

A processor's cores wait for one another within a picture, over and over, at every layer. Each with a picture of its own
they need not: on two cores that is a tenth less processor time for the same classes, bit for bit. The price is that a
picture takes nearly twice as long, so a replay does it and a live camera does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple

import cv2

from engines.base import Engine, Tensor
from pipeline.preprocess import Preprocessor
from pipeline.scene import Frame
from pipeline.smoothing import Grey, GreyCells
from pipeline.timings import StageTimings, Stopwatch

__all__ = ["LOOKING_THREAD", "Looked", "describe_engines", "look_at_each"]

LOOKING_THREAD = "clearway-looking"
"""Beginning of the names of the threads in which several engines look at frames side by side."""

_LOOK_AGAIN_S = 0.002
"""While no frame waits and no result is there: how long until both are asked for again."""


class Looked(NamedTuple):
    """A frame that an engine has looked at.

    Attributes:
        frame: Which.
        logits: (1, K, h, w), its own.
        grey: What motion is found in, where that is wanted.
        laps_ms: How long preprocessing and the engine took.
    """

    frame: Frame
    logits: Tensor
    grey: Grey | None
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
    cells: GreyCells | None = None,
) -> Generator[Looked, None, None]:
    """What the engines say of every frame, in order.

    With one engine all of it happens in the caller's thread, when the next result is asked for. With several, a frame
    goes to whichever is free, and twice as many are under way as there are engines: results are given in order, and
    while one frame takes longer than others there is still something to do for the other engines.

    Args:
        engines: Of the same model, opened alike.
        frames: In order.
        timings: Where preprocessing and the engine are counted.
        another_waits: Whether the next frame can be had at once; where it cannot, results are given as they come.
        cells: Makes what motion is found in; None where nobody asks for it.

    Raises:
        EngineError: An inference library failed; what was seen before has been given.
    """
    lookers = [_Looker(engine, timings, cells) for engine in engines]
    if len(lookers) == 1:
        yield from map(lookers[0].look, frames)
        return
    free: SimpleQueue[_Looker] = SimpleQueue()
    for looker in lookers:
        free.put(looker)
    most, under_way = 2 * len(lookers), deque[Future[Looked]]()
    with ExitStack() as stack:
        stack.enter_context(_opencv_in_one_thread())
        threads = ThreadPoolExecutor(len(lookers), LOOKING_THREAD)
        stack.callback(partial(threads.shutdown, cancel_futures=True))
        for frame in frames:
            under_way.append(threads.submit(_look_with_any, free, frame))
            while under_way and (len(under_way) >= most or not another_waits()):
                if len(under_way) < most and wait([under_way[0]], _LOOK_AGAIN_S).not_done:
                    continue  # a frame may have come meanwhile, for an engine that has nothing to do
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


@contextmanager
def _opencv_in_one_thread() -> Iterator[None]:
    """OpenCV would wake a thread for every core, to share out a tenth of a millisecond, and let them wait in a loop.

    For the whole process, and as it was before when it ends: each core has a frame to work on.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _look_with_any(free: SimpleQueue[_Looker], frame: Frame) -> Looked:
    """There are as many threads as engines: one is always free."""
    looker = free.get()
    try:
        return looker.look(frame)
    finally:
        free.put(looker)


class _Looker:
    """An engine, and what prepares its input. Used by one thread at a time."""

    def __init__(self, engine: Engine, timings: StageTimings, cells: GreyCells | None) -> None:
        self._engine = engine
        self._timings = timings
        self._cells = cells
        self._preprocessor = Preprocessor(engine.spec)

    def look(self, frame: Frame) -> Looked:
        watch = Stopwatch(self._timings, frame=(frame.camera, frame.index))
        tensor = self._preprocessor.prepare([frame])
        grey = None
        if self._cells is not None:  # now, while the tensor is in the caches: the engine fills them with its own
            grey = self._cells.average(tensor[0], self._preprocessor.grid_size_hw(frame.size_hw))
        watch.lap("preprocess")
        logits = self._engine.infer(tensor)
        watch.lap("engine")
        return Looked(frame, logits.copy(), grey, watch.laps_ms)
