"""A frame's way: when it was decoded, how long it waited, when each stage had it."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.profile.recorder import Look, Span
from pipeline.looking import LOOKING_THREAD
from pipeline.perception import MEANING_THREAD
from pipeline.timings import FrameKey

__all__ = ["PERCEPTION_THREAD", "Way", "capture_thread", "find_ways"]

PERCEPTION_THREAD = "clearway-perception"
_ITS_THREADS = (PERCEPTION_THREAD, LOOKING_THREAD, MEANING_THREAD)
"""Beginnings of the names of all threads in which the perception works."""


@dataclass(frozen=True, slots=True)
class Way:
    """What is known of one frame.

    Attributes:
        look: When it went through the perception.
        decoding: Its decoding, or None where that was not kept.
        stages: What was done with it after that, in order; of a batch, with all of it.
    """

    look: Look
    decoding: Span | None
    stages: tuple[Span, ...]


def capture_thread(look: Look) -> str:
    """Name of the thread that took that frame."""
    return f"clearway-camera-{look.camera}" if look.camera else "clearway-capture"


def find_ways(looks: Sequence[Look], spans: Sequence[Span]) -> list[Way]:
    """Bring frames and laps together by their times.

    A frame's decoding is the first of its thread that ended at or after the moment at which the frame was captured:
    a decoder dates a frame just before its lap ends.

    Args:
        looks: In the order of time.
        spans: In the order of time.
    """
    decodings: defaultdict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span.stage == "decode":
            decodings[span.thread].append(span)
    ends_s = {thread: [span.ended_s for span in own] for thread, own in decodings.items()}
    stages = [span for span in spans if span.thread.startswith(_ITS_THREADS)]
    stage_ends_s = [span.ended_s for span in stages]
    ways: list[Way] = []
    for look in looks:
        thread = capture_thread(look)
        place = bisect_left(ends_s.get(thread, []), look.captured_s)
        decoding = decodings[thread][place] if place < len(decodings[thread]) else None
        first, last = bisect_left(stage_ends_s, look.began_s), bisect_left(stage_ends_s, look.ended_s)
        ways.append(Way(look, decoding, tuple(_own(stages[first:last], (look.camera, look.number)))))
    return ways


def _own(spans: Sequence[Span], frame: FrameKey) -> list[Span]:
    """The laps of one frame among all that ended while it was under way: those that name it, else all."""
    return [span for span in spans if span.frame in (None, frame)]
