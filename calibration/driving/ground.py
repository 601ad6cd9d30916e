"""How the camera hangs over the road, from all pairs of a drive together.

A vehicle drives along the road: on average over a drive its way is parallel to the road, so the vanishing point of
its motion lies on the horizon. Each pair says where both are; springs and bumps move them from pair to pair, so what is
told is their middle over straight driving, and how sure that is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calibration.driving.motion import Failure, Motion, measure_motion
from calibration.driving.tracks import LEAST_POINTS, PairFinder
from calibration.driving.views import Rectifier
from pipeline.errors import SourceError
from pipeline.geometry.camera_model import CameraModel
from pipeline.perception import Perception
from pipeline.scene import Frame
from pipeline.sources.base import Source

__all__ = ["DriveGround", "Survey", "ground_from_drive", "ground_from_motions", "survey_drive"]

FloatArray = NDArray[np.float64]

_MOST_PAIRS = 100
"""More teach little; pairs of a longer recording are spread over it."""

_LEAST_PAIRS = 5

_BEST_ADVANCE = 1.0
"""How far a pair should go at most, in heights of the camera: what is near grows and leaves the picture."""

_STRAIGHT = 0.015
"""Turn by way, in heights of the camera: a radius of 100 m at 1.5 m. In tighter bends vehicles lean and slip."""

_PARKED_PX = 3.0
"""A recording in which no pair's points move farther than this shows no motion worth the name."""

_OUTLIER = 4.0
"""Pairs farther from the middle than this many deviations (by the median of absolute deviations) are left out."""

_LEAST_SPREAD = np.array([0.002, 0.002, 0.002, 0.15])
"""Deviations of pitch, roll, yaw and log advance that are always allowed, however alike the pairs are."""

_FLOOR_PITCH_RAD = math.radians(0.1)
_FLOOR_ROLL_RAD = math.radians(0.15)
_FLOOR_ADVANCE = 0.01
"""What no length of recording averages out: what the camera file leaves of the lens, and what roads are not flat."""

_LOOSEST_RAD = np.radians([0.5, 1.5])
"""Deviations of pitch and roll beyond which a result is worth nothing: the pairs contradict each other."""

_TAPE_M = 0.01
_SPEED = 0.01
"""How well a height that was measured and a speed that was driven are taken to be known: a centimetre, a per cent."""


@dataclass(frozen=True, eq=False)
class Survey:
    """What the pairs of a recording say.

    Attributes:
        motions: Of the pairs that could be measured, in their order.
        failures: How many pairs could not, by the reason.
        farthest_px: The farthest that the points of any pair moved.
        guessed_roads: How many pairs had no road that the network saw, so that a triangle stood in for it.
    """

    motions: tuple[Motion, ...] = field(repr=False)
    failures: Counter[Failure]
    farthest_px: float
    guessed_roads: int


@dataclass(frozen=True, eq=False)
class DriveGround:
    """How a camera hangs over the road.

    Attributes:
        pitch_rad: How far the optical axis points below the horizon.
        roll_rad: How far its left side is lifted.
        yaw_rad: How far the optical axis points to the left of the way of the vehicle.
        height_m: Height over the road, or None where neither height nor speed were known.
        covariance: (3, 3) of (height_m, pitch_rad, roll_rad); height's are zeros where it is not known.
        yaw_std_rad: Standard deviation of the yaw.
        jitter_rad: (2,) standard deviations of pitch and roll from one pair to another: springs, bumps, noise.
        pairs: How many pairs were used.
        left_out: How many pairs were not, by the reason.
        guessed_roads: How many pairs had no road that the network saw, so that a triangle stood in for it.
    """

    pitch_rad: float
    roll_rad: float
    yaw_rad: float
    height_m: float | None
    covariance: FloatArray = field(repr=False)
    yaw_std_rad: float
    jitter_rad: FloatArray = field(repr=False)
    pairs: int
    left_out: dict[str, int]
    guessed_roads: int

    @property
    def deviations(self) -> FloatArray:
        """Standard deviations of (height_m, pitch_rad, roll_rad)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))


def ground_from_drive(
    source: Source,
    camera: CameraModel,
    perception: Perception,
    *,
    height_m: float | None = None,
    speed_mps: float | None = None,
    track: Callable[[Iterable[Frame]], Iterable[Frame]] = iter,
) -> DriveGround:
    """Measure the camera's place from a recording of a drive.

    Args:
        source: The recording; read to its end.
        camera: At the size of its frames.
        perception: Tells road from traffic.
        height_m: Height of the camera over the road, where it was measured.
        speed_mps: Mean speed over the recording, where it is known instead.
        track: Wraps the loop over frames, to show progress.

    Raises:
        SourceError: The vehicle does not move, does not drive straight, or too little can be followed.
    """
    survey = survey_drive(source, camera, perception, track)
    return ground_from_motions(survey, source.info.uri, height_m=height_m, speed_mps=speed_mps)


def survey_drive(
    source: Source,
    camera: CameraModel,
    perception: Perception,
    track: Callable[[Iterable[Frame]], Iterable[Frame]] = iter,
) -> Survey:
    """Measure every pair of a recording.

    Raises:
        SourceError: The recording is damaged, or its pictures change their size.
    """
    rectifier = Rectifier(camera)
    spacing = max(1, (source.info.frame_count or 0) // _MOST_PAIRS)
    motions: list[Motion] = []
    failures: Counter[Failure] = Counter()
    farthest_px, guessed = 0.0, 0
    finder = PairFinder(rectifier, perception, spacing)
    for pair in finder.pairs(_of_one_size(track(source.frames()), source)):
        farthest_px = max(farthest_px, pair.flow_px)
        guessed += pair.labels.road_is_guessed
        if pair.end != "far":
            lost = pair.end == "lost" and pair.flow_px >= _PARKED_PX
            failures["few points"] += pair.found < LEAST_POINTS or lost
            continue
        found = measure_motion(pair, rectifier.camera)
        if isinstance(found, Motion):
            motions.append(found)
            finder.longest = max(1, round(_BEST_ADVANCE * (pair.stop - pair.start) / found.advance))
        else:
            failures[found] += 1
            if found == "no road":
                finder.longest = max(1, (pair.stop - pair.start) // 2)
    return Survey(tuple(motions), failures, farthest_px, guessed)


def ground_from_motions(
    survey: Survey, name: str, *, height_m: float | None = None, speed_mps: float | None = None
) -> DriveGround:
    """Put together what the pairs say.

    Args:
        survey: Of a recording.
        name: Of the recording, for errors.
        height_m: As `ground_from_drive`.
        speed_mps: As `ground_from_drive`.

    Raises:
        SourceError: As `ground_from_drive`.
    """
    _refuse_without_motion(survey, name)
    straight = [motion for motion in survey.motions if abs(motion.turn_rad) < _STRAIGHT * motion.advance]
    left_out: dict[str, int] = {
        **{str(reason): count for reason, count in survey.failures.items()},
        "in a bend": len(survey.motions) - len(straight),
    }
    if len(straight) < _LEAST_PAIRS <= len(survey.motions):
        raise SourceError(
            f"{name}: the vehicle turns nearly all the time ({len(straight)} of {len(survey.motions)} measurements are "
            f"on a straight); record some seconds of driving straight ahead"
        )
    used = _without_outliers(straight)
    left_out["unlike the others"] = len(straight) - len(used)
    if len(used) < _LEAST_PAIRS:
        raise SourceError(f"{name}: {_too_few(survey, len(used))}")
    values = np.array([[motion.pitch_rad, motion.roll_rad, motion.yaw_rad, motion.climb_rad] for motion in used])
    middle = values.mean(axis=0)
    spread = _mean_covariance(values)
    pitch_variance = spread[0, 0] + _FLOOR_PITCH_RAD**2 + (middle[3] / 2.0) ** 2
    _refuse_contradictions(spread, len(used), name)
    covariance = np.zeros((3, 3))
    covariance[1:, 1:] = spread[:2, :2]
    covariance[1, 1], covariance[2, 2] = pitch_variance, spread[1, 1] + _FLOOR_ROLL_RAD**2
    height, covariance[0, 0] = _height(survey.motions, used, height_m, speed_mps)
    return DriveGround(
        pitch_rad=float(middle[0]),
        roll_rad=float(middle[1]),
        yaw_rad=float(middle[2]),
        height_m=height,
        covariance=covariance,
        yaw_std_rad=float(np.sqrt(spread[2, 2] + _FLOOR_PITCH_RAD**2)),
        jitter_rad=values[:, :2].std(axis=0),
        pairs=len(used),
        left_out={reason: count for reason, count in left_out.items() if count},
        guessed_roads=survey.guessed_roads,
    )


def _of_one_size(frames: Iterable[Frame], source: Source) -> Iterator[Frame]:
    for frame in frames:
        if frame.size_hw != source.info.size_hw:
            (height, width), (first_height, first_width) = frame.size_hw, source.info.size_hw
            raise SourceError(
                f"{source.info.uri}: picture {frame.name or frame.index} is {width}x{height}, the first one "
                f"{first_width}x{first_height}; a camera's pictures have one size"
            )
        yield frame


def _refuse_without_motion(survey: Survey, name: str) -> None:
    if survey.farthest_px < _PARKED_PX and not survey.motions and not survey.failures["few points"]:
        raise SourceError(
            f"{name}: no motion: the picture moves by {survey.farthest_px:.1f} px at most, so the vehicle is parked; "
            "record some seconds of driving straight ahead"
        )
    if len(survey.motions) < _LEAST_PAIRS:
        raise SourceError(f"{name}: {_too_few(survey, len(survey.motions))}")


def _refuse_contradictions(spread: FloatArray, count: int, name: str) -> None:
    """Covariances that no deviation could make honest: the pairs saw different roads, or none."""
    deviations = np.sqrt(np.diag(spread)[:2])
    if (deviations > _LOOSEST_RAD).any():
        pitch, roll = np.degrees(deviations)
        raise SourceError(
            f"{name}: {count} measurements contradict each other (pitch ± {pitch:.1f}°, roll ± {roll:.1f}°): the "
            "picture is too small or blurred, the road is not flat, or the camera file is not this camera's"
        )


def _too_few(survey: Survey, count: int) -> str:
    """Why fewer pairs than are needed could be used, and what to do."""
    reasons: dict[Failure, str] = {
        "few points": "in most pictures too few points can be followed; record by day, on a street with things beside "
        "it, with a clean and steady camera",
        "only turning": "the camera turns but does not move; record some seconds of driving straight ahead",
        "not ahead": "the camera does not look where the vehicle goes; record driving ahead with the camera that looks "
        "ahead",
        "no road": "no flat road ahead can be made out; record a drive by day on a flat road of rough asphalt or with "
        "markings, with nobody close ahead",
    }
    if not survey.failures or survey.failures.most_common(1)[0][1] < count:
        return f"too short: {count} measurements, {_LEAST_PAIRS} are needed; record more of the drive"
    return f"{reasons[survey.failures.most_common(1)[0][0]]} ({count} measurements, {_LEAST_PAIRS} are needed)"


def _without_outliers(motions: Sequence[Motion]) -> list[Motion]:
    """The motions that agree with the others in pitch, roll, yaw, and how far a pair goes."""
    if not motions:
        return []
    values = np.array([[m.pitch_rad, m.roll_rad, m.yaw_rad, math.log(m.advance)] for m in motions])
    off = np.abs(values - np.median(values, axis=0))
    limit = _OUTLIER * np.maximum(1.4826 * np.median(off, axis=0), _LEAST_SPREAD)
    return [motion for motion, good in zip(motions, (off < limit).all(axis=1), strict=True) if good]


def _mean_covariance(values: FloatArray) -> FloatArray:
    """(K, K) covariance of the mean of (N, K) values that resemble their neighbours: by batch means.

    Means over stretches of the drive vary less than single pairs, but more than if pairs had nothing to do with each
    other: springs swing, and a road keeps its slope for a while.
    """
    batches = np.array_split(values, max(4, min(10, len(values) // 4)))
    means = np.array([batch.mean(axis=0) for batch in batches])
    return np.asarray(np.cov(means.T) / len(means))


def _height(
    motions: Sequence[Motion], used: Sequence[Motion], height_m: float | None, speed_mps: float | None
) -> tuple[float | None, float]:
    """Height and its variance: as given, or from how fast the road passes by at a known speed."""
    if height_m is not None:
        return height_m, _TAPE_M**2
    if speed_mps is None:
        return None, 0.0
    middle = float(np.median([motion.advance for motion in used]))
    good = [motion for motion in motions if 0.5 < motion.advance / middle < 2.0]  # Also in bends: all of the way.
    advances = np.array([motion.advance for motion in good])
    times_s = np.array([motion.stop_s - motion.start_s for motion in good])
    if not times_s.sum() > 0.0:
        raise SourceError("the recording's time stands still, so a speed says nothing; give the height instead")
    height = speed_mps * float(times_s.sum() / advances.sum())
    rates = advances / times_s
    wobble = float(np.median(np.abs(np.diff(rates)))) / float(np.median(rates)) if len(rates) > 1 else 0.0
    relative = math.sqrt(_SPEED**2 + _FLOOR_ADVANCE**2 + wobble**2 / len(rates))
    return height, (relative * height) ** 2
