"""From frames to pairs of pictures far enough apart to measure, with points that were followed from one to the other.

Points are followed from frame to frame (Lucas and Kanade 1981, in pyramids after Bouguet 2001) until they have moved
far enough, then measured once more between the two outer pictures, there and back: what does not return is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.driving.views import GreyImage, Labels, Rectifier
from pipeline.perception import Perception
from pipeline.scene import Frame

__all__ = ["LEAST_POINTS", "Pair", "PairFinder", "find_points", "follow"]

Points = NDArray[np.float32]
Flags = NDArray[np.bool_]

_FAR_ENOUGH = 0.04
"""A pair is complete when a fifth of its points has moved by this share of the focal length. At 1.5 m height that is
a step of about a metre."""

LEAST_POINTS = 40
"""With fewer points nothing is measured."""

_LEAST_PX = 2.5
"""No pair whose points moved less says anything."""

_LOST = 0.4
"""A pair ends early when fewer of its points than this share can still be followed."""

_MOST_REST, _MOST_ROAD = 350, 250
_WINDOW = (21, 21)
_RETURN_PX = 0.5
_STILL_PX = 0.25


@dataclass(frozen=True, eq=False)
class Pair:
    """Two pictures and the points that were seen in both, in rectified pixels (pixel centres at + 0.5).

    Attributes:
        first: (H, W) uint8 picture.
        second: (H, W) uint8 picture, taken later.
        start: Index of the first picture's frame.
        stop: Index of the second picture's frame.
        start_s: When the first was taken.
        stop_s: When the second was taken.
        labels: Where the first picture shows road and things that stand still.
        points: (N, 2) float32 in the first picture.
        moved: (N, 2) float32 in the second.
        on_road: (N,) which of them lie on the road.
        found: How many points the first picture had, most of which were followed to the second.
        flow_px: How far a fifth of them moved, or farther.
        end: Why the pair ends here: they have moved far enough, too many were lost, or the recording is over.
    """

    first: GreyImage = field(repr=False)
    second: GreyImage = field(repr=False)
    start: int
    stop: int
    start_s: float
    stop_s: float
    labels: Labels = field(repr=False)
    points: Points = field(repr=False)
    moved: Points = field(repr=False)
    on_road: Flags = field(repr=False)
    found: int
    flow_px: float
    end: Literal["far", "lost", "over"]


class PairFinder:
    """Cuts a recording into pairs.

    Args:
        rectifier: Of the recording's camera.
        perception: Tells road from the rest.
        spacing: Frames from the start of one pair to the start of the next, at least.

    Attributes:
        longest: How many frames a pair may span, whether its points moved far enough or not. Beside a motorway things
            are so far away that the road has long gone by when they have moved; the caller, who learns how fast the
            road goes by, sets it.
    """

    def __init__(self, rectifier: Rectifier, perception: Perception, spacing: int = 1) -> None:
        self._rectifier = rectifier
        self._perception = perception
        self._spacing = spacing
        self.longest = 1 << 30
        self._far_px = _FAR_ENOUGH * rectifier.camera.fx

    def pairs(self, frames: Iterable[Frame]) -> Iterator[Pair]:
        """Every pair; the second picture of one is often the first of the next."""
        track: _Track | None = None
        due = 0
        for frame in frames:
            if track is None and frame.index < due:
                continue
            picture = self._rectifier.grey(frame)
            if track is not None:
                track.follow(frame, picture)
                is_far = track.flow_px >= self._far_px or (
                    frame.index - track.start >= self.longest and track.flow_px >= _LEAST_PX
                )
                if not is_far and track.share > _LOST:
                    continue
                yield track.pair("far" if is_far else "lost")
                track = None
            if frame.index >= due:
                track = _Track(frame, picture, self._rectifier.labels(self._perception, frame))
                due = frame.index + self._spacing
        if track is not None and track.stop > track.start:
            yield track.pair("over")


class _Track:
    """A pair that is not complete yet."""

    def __init__(self, frame: Frame, picture: GreyImage, labels: Labels) -> None:
        self._first = self._second = picture
        self._labels = labels
        self.start = self.stop = frame.index
        self._start_s = self._stop_s = frame.source_time_s
        road = find_points(picture, labels.road, _MOST_ROAD, 0.002)
        self._points = np.concatenate([find_points(picture, labels.rest, _MOST_REST, 0.005), road])
        self._on_road = np.arange(len(self._points)) >= len(self._points) - len(road)
        self._moved = self._points
        self._count = len(self._points)
        self.flow_px = 0.0

    @property
    def share(self) -> float:
        """How many of the points are still followed."""
        return len(self._points) / max(self._count, LEAST_POINTS)

    def follow(self, frame: Frame, picture: GreyImage) -> None:
        """Follow the points into the next picture."""
        self.stop, self._stop_s = frame.index, frame.source_time_s
        if len(self._points):
            moved, found = follow(self._second, picture, self._moved)
            self._keep(found, moved)
        self._second = picture
        if len(self._points):
            self.flow_px = float(np.quantile(np.linalg.norm(self._moved - self._points, axis=1), 0.8))

    def pair(self, end: Literal["far", "lost", "over"]) -> Pair:
        """The finished pair."""
        if len(self._points):
            moved, found = follow(self._first, self._second, self._points, self._moved, there_and_back=True)
            self._keep(found, moved)
        if end == "far":
            # A bonnet, a wiper, a time stamp: what stays where it is below the horizon belongs to the vehicle.
            stays = np.linalg.norm(self._moved - self._points, axis=1) < _STILL_PX
            self._keep(~stays | (self._points[:, 1] < 0.5 * len(self._first)), self._moved)
        return Pair(
            self._first, self._second, self.start, self.stop, self._start_s, self._stop_s, self._labels,
            self._points + np.float32(0.5), self._moved + np.float32(0.5), self._on_road,
            self._count, self.flow_px, end,
        )  # fmt: skip

    def _keep(self, wanted: Flags, moved: Points) -> None:
        self._points, self._moved, self._on_road = self._points[wanted], moved[wanted], self._on_road[wanted]


def find_points(picture: GreyImage, mask: NDArray[np.uint8], most: int, quality: float) -> Points:
    """(N, 2) float32 corners in OpenCV's pixels, spread over the mask (Shi and Tomasi 1994)."""
    area = int(np.count_nonzero(mask))
    if area == 0:
        return np.empty((0, 2), np.float32)
    apart = max(3.0, 0.6 * float(np.sqrt(area / most)))
    found: Any = cv2.goodFeaturesToTrack(picture, most, quality, apart, mask=mask, blockSize=5)
    return np.empty((0, 2), np.float32) if found is None else np.asarray(found, np.float32).reshape(-1, 2)


def follow(
    first: GreyImage,
    second: GreyImage,
    points: Points,
    guess: Points | None = None,
    *,
    there_and_back: bool = False,
    levels: int = 4,
    window: tuple[int, int] = _WINDOW,
) -> tuple[Points, Flags]:
    """Where points went.

    Args:
        first: The picture that they were found in.
        second: The picture to look for them in.
        points: (N, 2) float32 in OpenCV's pixels, N > 0.
        guess: Where they may be.
        there_and_back: Keep only those that come back when they are followed from the second picture to the first.
        levels: Of the pyramid.
        window: What must look alike.

    Returns:
        (N, 2) float32, and (N,) which of them were found.
    """
    options: dict[str, Any] = {
        "winSize": window,
        "maxLevel": levels,
        "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01),
    }
    start = points if guess is None else guess
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        first, second, points, start.copy(), flags=cv2.OPTFLOW_USE_INITIAL_FLOW, **options
    )
    good = found.ravel() == 1
    if there_and_back:
        back, returned, _ = cv2.calcOpticalFlowPyrLK(
            second, first, moved, points.copy(), flags=cv2.OPTFLOW_USE_INITIAL_FLOW, **options
        )
        good &= (returned.ravel() == 1) & (np.linalg.norm(back - points, axis=1) < _RETURN_PX)
    height, width = second.shape
    inside = (moved >= 0.0).all(axis=1) & (moved < (width, height)).all(axis=1)
    return np.asarray(moved, np.float32), np.asarray(good & inside, np.bool_)
