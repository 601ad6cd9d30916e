"""Where road users are on the road and how they move over it: a Kalman filter for each, in the road plane.

Positions are relative to the vehicle, and so are the filtered velocities: what the camera sees. The vehicle's own
motion turns them from one picture's axes to the next, and is added where a velocity over the ground is told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import RoadView
from pipeline.geometry.projection import pixel_of_road, road_of_pixel
from pipeline.jit import kernel
from pipeline.metric import VehicleMotion
from pipeline.tracking.matrices import apply, inverse, product
from pipeline.tracking.tracks import BODY, Tracks

__all__ = ["Feet", "carry_boxes", "correct_places", "deviations_m", "predict_places", "standing"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

_PUSH_MPS2 = (0.8, 1.2)
"""How much chance changes velocities within a second: of bodies, of vehicles."""

_FIRST_MPS = (2.0, 8.0)
"""What is expected of velocities over the ground before they are seen: deviations, of bodies, of vehicles."""

_FIRST_UNKNOWN_MPS = 15.0
"""The same, added where nobody knows how the vehicle itself moves."""

_SWING_RAD = 0.001
"""How far springs swing the pitch about its mean. They swing about once a second, so a filter that follows a road user
averages little of it out: told distances are that much less sure than filtered ones."""

_GATE = 12.0
"""Squared deviations from which on a foot is not believed ..."""

_PATIENCE = 4
"""... but so many in a row are believed rather than what was filtered."""

_PIXEL_STEP = 0.25
"""For differences, in pixels."""

_HIDDEN_M = 30.0
"""How little is known of how far somebody is whose feet are hidden: only the direction counts."""

_CARRY_MPS = (2.5, 6.0)
"""Boxes move as places do where velocities are known as well as that; of bodies, of vehicles."""

_RAISED_S = 0.25
"""How long it takes to believe that somebody stepped on or off a pavement."""


@dataclass(frozen=True, eq=False)
class Feet:
    """Feet seen on the ground in one picture.

    Attributes:
        rows: (N,) of the table of tracks.
        pixels: (N, 2) where.
        doubt: (N,) how many times less sure than usual.
        hidden: (N,) whether it is not the feet that are seen, but where they vanish behind something nearer.
        heights_m: (N,) of the ground there over the road: pavements are higher.
        pixel_std_px: How well a foot is seen.
    """

    rows: Longs
    pixels: Floats
    doubt: Floats
    hidden: Flags
    heights_m: Floats
    pixel_std_px: float


def predict_places(tracks: Tracks, before: VehicleMotion | None, now: VehicleMotion | None, step_s: float) -> None:
    """Move everybody on by `step_s`, as seen from the vehicle that moved as well."""
    if before is None or now is None:
        _predict(tracks, step_s, 0.0, 0.0, 0.0)
    else:
        turn = 0.5 * (before.yaw_rate_rad_s + now.yaw_rate_rad_s) * step_s
        _predict(tracks, step_s, turn, before.speed_mps, now.speed_mps)


@kernel()
def carry_boxes(tracks: Tracks, before: Tracks, packed: Floats, step_s: float) -> None:
    """Let the boxes of those whose way over the road is known move as their places do.

    A box by itself goes on as it went, which is no good guess of what is hidden for a second or cut out badly: who is
    parked comes nearer just as the vehicle drives.

    Args:
        tracks: (T,) as predicted.
        before: (T,) as they were at the last picture.
        packed: The view.
        step_s: Time since then.
    """
    for t in range(len(tracks)):
        spread = before[t]["place_covariance"][2, 2] + before[t]["place_covariance"][3, 3]
        limit = _CARRY_MPS[0 if before[t]["kind"] == BODY else 1]
        if not before[t]["placed"] or spread > limit**2 or step_s <= 0.0:
            continue
        x, y = before[t]["place"][0], before[t]["place"][1]
        now_x, now_y = tracks[t]["place"][0], tracks[t]["place"][1]
        column, row = pixel_of_road(packed, x, y)
        now_column, now_row = pixel_of_road(packed, now_x, now_y)
        if not (x > 1.0 and now_x > 1.0 and abs(now_row - row) < 100.0):
            continue
        growth = math.log(x / now_x)
        change = (now_column - column, now_row - row, growth, growth)
        for k in range(4):
            tracks[t]["box"][k] = before[t]["box"][k] + change[k]
            tracks[t]["box_rate"][k] = change[k] / step_s


def correct_places(tracks: Tracks, feet: Feet, view: RoadView, motion: VehicleMotion | None, now_s: float) -> None:
    """Take in where feet stand; who has not been placed before is placed."""
    if not len(feet.rows):
        return
    table = tracks[feet.rows]
    age_s = now_s - table["placed_s"]
    share = np.where(table["placed"], 1.0 - np.exp(-age_s / _RAISED_S), 1.0) * ~feet.hidden
    raised = table["raised_m"] + share * (feet.heights_m - table["raised_m"])
    level, noise = _road_and_noise(feet.pixels, view.packed, view.pose.height_m, feet.pixel_std_px)
    # What stands higher is nearer, in the same direction, and errors shrink alike.
    nearer = 1.0 - raised / view.pose.height_m
    places = level * nearer[:, None]
    noise *= ((nearer * feet.doubt) ** 2)[:, None, None]
    _keep_distance(places, noise, feet.hidden & table["placed"], table["place"])
    speed, unknown = (motion.speed_mps, motion.speed_std_mps) if motion is not None else (0.0, _FIRST_UNKNOWN_MPS)
    _correct(tracks, feet.rows, places, noise, feet.hidden, raised, now_s, speed, unknown)


@kernel()
def _road_and_noise(pixels: Floats, packed: Floats, height_m: float, pixel_std_px: float) -> tuple[Floats, Floats]:
    """(N, 2) where on the road pixels look; and (N, 2, 2) the errors that change from picture to picture.

    `RoadView.road_covariance_m2` has those of pixels and of the calibration together, but what is wrong with the
    calibration is the same in every picture: no filter averages it out. Here are those of pixels, and of the springs.
    """
    places, noise = np.empty((len(pixels), 2)), np.empty((len(pixels), 2, 2))
    share = pixel_std_px / _PIXEL_STEP
    for n in range(len(pixels)):
        column, row = pixels[n]
        x, y = road_of_pixel(packed, column, row)
        right, down = road_of_pixel(packed, column + _PIXEL_STEP, row), road_of_pixel(packed, column, row + _PIXEL_STEP)
        distance = math.hypot(x, y)
        swing = _SWING_RAD * (height_m + distance * distance / height_m) / distance
        ahead, aside = ((right[0] - x) * share, (down[0] - x) * share), ((right[1] - y) * share, (down[1] - y) * share)
        places[n, 0], places[n, 1] = x, y
        noise[n, 0, 0] = ahead[0] * ahead[0] + ahead[1] * ahead[1] + (x * swing) ** 2
        noise[n, 1, 1] = aside[0] * aside[0] + aside[1] * aside[1] + (y * swing) ** 2
        noise[n, 0, 1] = noise[n, 1, 0] = ahead[0] * aside[0] + ahead[1] * aside[1] + x * y * swing * swing
    return places, noise


def _keep_distance(places: Floats, noise: Floats, hidden: Flags, expected: Floats) -> None:
    """Put those whose feet are hidden into the direction in which they are seen, as far away as they are expected."""
    if not hidden.any():
        return
    distance = np.linalg.norm(places, axis=1, keepdims=True)
    towards = places / distance
    expected_m = np.maximum((expected[:, :2] * towards).sum(axis=1, keepdims=True), 1.0)
    spread = noise * (expected_m / distance)[..., None] ** 2 + _HIDDEN_M**2 * towards[:, :, None] * towards[:, None, :]
    # Nobody is farther away than what is seen of them seems to stand.
    places[hidden] = (towards * np.minimum(expected_m, distance))[hidden]
    noise[hidden] = spread[hidden]


@kernel()
def standing(places: Floats, pixels: Floats, hidden: Flags, packed: Floats) -> Floats:
    """(N, 2) where the foot or tyre stands that is seen lowest: in its own direction, as far ahead as was filtered.

    A place is the middle of somebody who walks, or of a car; the foot that is on the ground is half a step from it, and
    the nearest tyre half a car. A direction is seen in a single picture; a distance is not.

    Args:
        places: (N, 4) x, y in metres and their rates.
        pixels: (N, 2) lowest visible points.
        hidden: (N,) where that is no foot: then the place itself.
        packed: The view.
    """
    feet = places[:, :2].copy()
    for n in range(len(places)):
        ahead, aside = road_of_pixel(packed, pixels[n, 0], pixels[n, 1])
        if not hidden[n] and ahead > 0.0:
            feet[n, 1] = places[n, 0] * aside / ahead
    return feet


def deviations_m(tracks: Tracks, view: RoadView) -> Floats:
    """(T,) standard deviations of ground distances: of the filter, of the calibration, and of springs that swing."""
    return _deviations(tracks["place"], tracks["place_covariance"], view.pose.height_m, view.pose_covariance)


@kernel()
def _deviations(places: Floats, covariances: Floats, height_m: float, pose_covariance: Floats) -> Floats:
    deviations, by_pose = np.empty(len(places)), np.empty(3)
    for n in range(len(places)):
        x, y = places[n, 0], places[n, 1]
        distance = max(math.hypot(x, y), 0.1)
        x, y = x / distance, y / distance
        covariance = covariances[n]
        variance = x * x * covariance[0, 0] + 2.0 * x * y * covariance[0, 1] + y * y * covariance[1, 1]
        # How a distance over a level road changes with height, pitch and roll.
        by_pose[0] = distance / height_m
        by_pose[1] = x * (distance * distance + height_m * height_m) / height_m
        by_pose[2] = y * distance * distance / height_m
        for i in range(3):
            for j in range(3):
                variance += by_pose[i] * pose_covariance[i, j] * by_pose[j]
        variance += (by_pose[1] * _SWING_RAD) ** 2
        deviations[n] = math.sqrt(variance)
    return deviations


@kernel()
def _predict(tracks: Tracks, step_s: float, turn_rad: float, speed_before: float, speed_now: float) -> None:
    cosine, sine = np.cos(turn_rad), np.sin(turn_rad)
    transition = np.zeros((4, 4))
    for i in (0, 2):
        transition[i, i], transition[i, i + 1] = cosine, sine
        transition[i + 1, i], transition[i + 1, i + 1] = -sine, cosine
    transition[0, 2], transition[0, 3] = cosine * step_s, sine * step_s
    transition[1, 2], transition[1, 3] = -sine * step_s, cosine * step_s
    for t in range(len(tracks)):
        track = tracks[t]
        if not track["placed"]:
            continue
        state, covariance = np.empty(4), np.empty((4, 4))
        for i in range(4):
            state[i] = track["place"][i]
            for j in range(4):
                covariance[i, j] = track["place_covariance"][i, j]
        state = apply(transition, state)
        covariance = product(product(transition, covariance), transition.T)
        state[2] += cosine * speed_before - speed_now
        state[3] -= sine * speed_before
        push = _PUSH_MPS2[0 if track["kind"] == BODY else 1] ** 2
        for i in range(2):
            covariance[i, i] += push * step_s**3 / 3.0
            covariance[i, i + 2] += push * step_s**2 / 2.0
            covariance[i + 2, i] += push * step_s**2 / 2.0
            covariance[i + 2, i + 2] += push * step_s
        _write(tracks, t, state, covariance)


@kernel()
def _correct(
    tracks: Tracks,
    rows: Longs,
    places: Floats,
    noise: Floats,
    hidden: Flags,
    raised: Floats,
    now_s: float,
    speed_mps: float,
    unknown_mps: float,
) -> None:
    for n in range(len(rows)):
        if not (np.isfinite(places[n, 0]) and np.isfinite(noise[n, 0, 0])):
            continue
        track = tracks[rows[n]]
        state, covariance = np.zeros(4), np.zeros((4, 4))
        off, spread = np.zeros(2), np.zeros((2, 2))
        is_new = not track["placed"]
        if not is_new:
            for i in range(4):
                state[i] = track["place"][i]
                for j in range(4):
                    covariance[i, j] = track["place_covariance"][i, j]
            off = places[n] - state[:2]
            spread = covariance[:2, :2] + noise[n]
            strange = np.sum(off * apply(inverse(spread), off))
            is_strange = strange > _GATE and not hidden[n]
            track["strange"] = track["strange"] + 1 if is_strange else 0
            if is_strange and track["strange"] < _PATIENCE:
                continue
            is_new = is_strange  # It was wrong all along.
        if is_new:
            first = _FIRST_MPS[0 if track["kind"] == BODY else 1]
            state[:] = 0.0
            covariance[:] = 0.0
            state[0], state[1], state[2] = places[n, 0], places[n, 1], -speed_mps
            for i in range(2):
                for j in range(2):
                    covariance[i, j] = noise[n, i, j]
            covariance[2, 2] = covariance[3, 3] = first**2 + unknown_mps**2
            track["placed"], track["strange"] = True, 0
        else:
            gain = product(covariance[:, :2], inverse(spread))
            state = state + apply(gain, off)
            covariance = covariance - product(gain, covariance[:2, :])
        if not hidden[n]:
            track["placed_s"] = now_s
        track["raised_m"] = raised[n]
        _write(tracks, rows[n], state, covariance)


@kernel(inner=True)
def _write(tracks: Tracks, t: int, state: Floats, covariance: Floats) -> None:
    track = tracks[t]
    for i in range(4):
        track["place"][i] = state[i]
        for j in range(4):
            track["place_covariance"][i, j] = 0.5 * (covariance[i, j] + covariance[j, i])
