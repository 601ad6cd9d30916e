"""Who moves through the street, and where everybody is at any moment.

Every motion is a closed formula of time, so any frame can be rendered without the frames before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.objects import CAR, OBJECT_COLUMNS, PERSON, RIDER
from pipeline.synthetic.street import Street

__all__ = ["Motion", "Traffic", "build_traffic"]

FloatArray = NDArray[np.float64]
Indices = NDArray[np.intp]
Generator = np.random.Generator

_PAINTS = (
    (40, 38, 40),
    (190, 192, 192),
    (150, 150, 148),
    (224, 226, 226),
    (44, 36, 150),
    (120, 66, 30),
    (90, 60, 40),
    (50, 80, 46),
    (70, 150, 190),
)
_CLOTHES = (
    (40, 38, 42),
    (120, 80, 50),
    (60, 60, 150),
    (190, 192, 196),
    (70, 100, 60),
    (60, 130, 180),
    (120, 60, 110),
    (90, 92, 96),
    (46, 60, 84),
)
_TROUSERS = ((70, 50, 40), (40, 38, 40), (96, 88, 80), (110, 130, 150), (60, 60, 66))

_WALK, _CROSS, _DRIVE, _LEAD = range(4)


@dataclass(frozen=True, slots=True)
class Motion:
    """How the own vehicle moves: a speed that breathes and a weave within the lane.

    Attributes:
        speed_mps: Mean speed along the street.
        surge: (amplitude in m/s, radians per second, phase).
        weave: (K, 3) amplitude in metres, radians per second, phase of the offset from the middle of the lane.
        lane_m: Offset of that middle from the centre line, to the left.
    """

    speed_mps: float
    surge: tuple[float, float, float]
    weave: FloatArray
    lane_m: float

    def along(self, time_s: FloatArray | float) -> FloatArray:
        """X in the fixed frame; 0 at time 0."""
        amplitude, rate, phase = self.surge
        time = np.asarray(time_s, np.float64)
        return np.asarray(self.speed_mps * time + amplitude / rate * (np.cos(phase) - np.cos(rate * time + phase)))

    def offset(self, time_s: float) -> float:
        """Metres to the left of the centre line."""
        amplitude, rate, phase = self.weave.T
        return self.lane_m + float((amplitude * np.sin(rate * time_s + phase)).sum())


@dataclass(frozen=True)
class Traffic:
    """All road users of a drive; row i everywhere is the one with id i + 1.

    Attributes:
        looks: (N, OBJECT_COLUMNS) float64 rows as the drawing kernels want them, without place and phase.
        paths: (N, 8) float64: 0 way of moving, 1 x at time 0, 2 speed along x (signed), 3 offset, 4 amplitude, 5 rate
            and 6 phase of a sway across, 7 time at which a crossing begins. A crossing goes from offset 3 to offset 4
            at speed 5.
        sizes: (N, 3) float64 length, width, height in metres.
    """

    looks: FloatArray
    paths: FloatArray
    sizes: FloatArray

    def near(self, motion: Motion, time_s: float, first_x: float, last_x: float) -> Indices:
        """Indices of those who are between two x at a time."""
        x = self._along(motion, self.paths, time_s)
        return np.flatnonzero((x > first_x) & (x < last_x))

    def rows(self, street: Street, motion: Motion, who: Indices, time_s: float) -> tuple[FloatArray, FloatArray]:
        """Where some road users are, how they look and how fast they move.

        Returns:
            (K, OBJECT_COLUMNS) rows with place, heading and phase filled in; (K, 2) velocities over the ground in m/s
            along x and y of the fixed frame.
        """
        rows, paths = self.looks[who], self.paths[who]
        way, speed, start, end = paths[:, 0], paths[:, 2], paths[:, 3], paths[:, 4]
        kind, crossing = rows[:, 0], way == _CROSS
        # A millisecond before and after, for the velocities.
        times = time_s + np.array([[-1e-3], [0.0], [1e-3]])
        x = self._along(motion, paths, times)
        walked = np.where(crossing, np.clip((times - paths[:, 7]) * paths[:, 5], 0.0, np.abs(end - start)), 0.0)
        sway = np.where(way == _LEAD, 0.0, end * np.sin(paths[:, 5] * times + paths[:, 6]))
        across = start + np.where(crossing, np.sign(end - start) * walked, sway)
        y = street.course.place(x, across)
        rows[:, 1], rows[:, 2] = x[1], y[1]
        on_pavement = np.clip((np.abs(across[1]) - street.road.half_width) / 0.25 + 0.5, 0.0, 1.0)
        rows[:, 3] = np.where(kind == PERSON, street.road.kerb * on_pavement, 0.0)
        turn = np.where(crossing, np.sign(end - start) * (math.pi / 2), rows[:, 4] + math.pi * (speed < 0.0))
        rows[:, 4] = np.arctan(street.course.slope(x[1])) + turn
        covered = np.where(crossing, walked[1], np.where(way == _LEAD, x[1], np.abs(speed) * time_s))
        rows[:, 6] += np.where(kind == CAR, 0.0, covered * rows[:, 17])
        standing = crossing & ((walked[1] <= 0.0) | (walked[1] >= np.abs(end - start)))
        rows[:, 7] *= np.where((kind == PERSON) & standing, 0.08, 1.0)
        return rows, np.stack([x[2] - x[0], y[2] - y[0]], axis=1) / 2e-3

    @staticmethod
    def _along(motion: Motion, paths: FloatArray, time_s: FloatArray | float) -> FloatArray:
        way, start, speed, _, a, b, c, _ = paths.T
        leading = motion.along(time_s) + start + a * np.sin(b * time_s + c)
        return np.asarray(np.where(way == _LEAD, leading, start + speed * time_s))


def build_traffic(seed: int, street: Street, motion: Motion, duration_s: float) -> Traffic:
    """Populate a street for a drive of that duration."""
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence([seed, 2]).spawn(6)]
    crowd = _Crowd([], [], [])
    crossings = _crossings(streams[0], crowd, street, motion, duration_s)
    _parked(streams[1], crowd, street, crossings)
    _driving(streams[2], crowd, street, motion, duration_s)
    _walking(streams[3], crowd, street)
    _riding(streams[4], crowd, street, duration_s)
    looks = np.array(crowd.looks)
    looks[:, 15] = np.arange(1, len(looks) + 1)
    return Traffic(looks, np.array(crowd.paths), np.array(crowd.sizes))


@dataclass
class _Crowd:
    looks: list[FloatArray]
    paths: list[tuple[float, ...]]
    sizes: list[tuple[float, float, float]]

    def add(self, look: FloatArray, path: tuple[float, ...], size: tuple[float, float, float]) -> None:
        self.looks.append(look)
        self.paths.append(path)
        self.sizes.append(size)


def _pick(generator: Generator, colors: tuple[tuple[int, int, int], ...]) -> FloatArray:
    return np.array(colors[generator.integers(len(colors))], np.float64) * generator.uniform(0.75, 1.2)


def _person(generator: Generator, kind: int, speed: float) -> tuple[FloatArray, tuple[float, float, float]]:
    look = np.zeros(OBJECT_COLUMNS)
    height = float(np.clip(generator.normal(1.71, 0.1), 1.2, 1.95))
    swing = min(0.16 + 0.2 * speed, 0.5)
    look[0], look[5], look[6], look[7] = kind, height, generator.uniform(0, 6.3), swing if speed > 0 else 0.04
    look[8:11], look[11:14] = _pick(generator, _CLOTHES), _pick(generator, _TROUSERS)
    look[14] = generator.integers(1 << 16)
    # One cycle of the gait covers four times the reach of a swinging leg; a pedal turn covers 4.5 m.
    look[17] = 2 * math.pi / (4 * 0.486 * height * math.sin(swing)) if kind == PERSON else 2 * math.pi / 4.5
    return look, (0.5, 0.5, height)


def _car(generator: Generator) -> tuple[FloatArray, tuple[float, float, float]]:
    look = np.zeros(OBJECT_COLUMNS)
    profile = int(generator.choice(3, p=(0.5, 0.34, 0.16)))
    length, width, height = ((3.9, 1.72, 1.48), (4.5, 1.78, 1.45), (4.9, 1.92, 2.05))[profile]
    size = (length * generator.uniform(0.94, 1.06), width, height * generator.uniform(0.97, 1.06))
    look[0], look[5], look[6], look[7], look[8] = CAR, *size, profile
    look[9:12] = _pick(generator, _PAINTS)
    return look, size


def _crossings(generator: Generator, crowd: _Crowd, street: Street, motion: Motion, duration_s: float) -> list[float]:
    """People who cross ahead of the own vehicle and are out of its lane before it arrives."""
    road = street.road
    times = np.arange(0.0, duration_s + 12.0, 0.05)
    along = motion.along(times)
    reach = road.half_width + 1.0
    places = []
    x = generator.uniform(28, 50)
    while x < along[-1]:
        arrival = float(times[np.searchsorted(along, x)])
        for _ in range(int(generator.integers(1, 3))):
            direction = generator.choice((-1.0, 1.0))
            speed = generator.uniform(1.15, 1.7)
            clear = (reach + direction * motion.lane_m + 1.7) / speed
            begin = arrival - generator.uniform(1.2, 2.4) - clear
            look, size = _person(generator, PERSON, speed)
            at = x + generator.uniform(-1.3, 1.3)
            crowd.add(look, (_CROSS, at, 0.0, -direction * reach, direction * reach, speed, 0.0, begin), size)
        places.append(x)
        x += generator.uniform(22, 70)
    return places


def _parked(generator: Generator, crowd: _Crowd, street: Street, crossings: list[float]) -> None:
    road = street.road
    if road.parking == 0.0:
        return
    for side in (-1.0, 1.0):
        share = generator.uniform(0.3, 0.85)
        x = -20.0
        while x < street.length_m:
            x += generator.uniform(5.4, 7.5)
            near = any(abs(x - place) < 4.5 for place in crossings) or bool(
                np.any(np.abs(street.tables.zebra - x) < 5.0)
            )
            if near or generator.random() > share:
                continue
            look, size = _car(generator)
            look[4] = (math.pi if side * street.traffic_side < 0 else 0.0) + generator.normal(0, 0.015)
            offset = side * (road.half_width - 0.18 - 0.5 * size[1] - generator.uniform(0.0, 0.15))
            crowd.add(look, (_DRIVE, x, 0.0, offset, 0.0, 0.0, 0.0, 0.0), size)


def _driving(generator: Generator, crowd: _Crowd, street: Street, motion: Motion, duration_s: float) -> None:
    lane = street.lane_m * street.traffic_side
    x = generator.uniform(30, 90)
    speed = motion.speed_mps * generator.uniform(0.8, 1.15)
    while x < street.length_m + speed * duration_s:
        look, size = _car(generator)
        look[16] = 1.0
        sway = (generator.uniform(0.05, 0.15), generator.uniform(0.3, 0.7), generator.uniform(0, 6))
        crowd.add(look, (_DRIVE, x, -speed, -lane, *sway, 0.0), size)
        x += generator.uniform(16, 75)
    if generator.random() < 0.4:
        look, size = _car(generator)
        look[13], look[16] = float(generator.random() < 0.4), 1.0
        gap = generator.uniform(17, 30)
        crowd.add(look, (_LEAD, gap, 0.0, lane, 2.0, 0.35, generator.uniform(0, 6), 0.0), size)


def _walking(generator: Generator, crowd: _Crowd, street: Street) -> None:
    road = street.road
    spacing = generator.uniform(7.0, 26.0)
    for side in (-1.0, 1.0):
        x = 4.0
        while x < street.length_m:
            x += generator.exponential(spacing) + 1.0
            group = int(generator.choice((1, 2, 3), p=(0.66, 0.26, 0.08)))
            standing = generator.random() < 0.14
            speed = 0.0 if standing else generator.uniform(0.9, 1.65) * generator.choice((-1.0, 1.0))
            lane = generator.uniform(0.7, road.pavement - 0.75)
            for member in range(group):
                look, size = _person(generator, PERSON, abs(speed))
                look[4] = generator.uniform(0, 6.3) if standing else 0.0
                offset = side * (road.half_width + np.clip(lane + 0.62 * member, 0.6, road.pavement - 0.4))
                sway = (0.05, generator.uniform(0.2, 0.5), generator.uniform(0, 6))
                at = x + generator.normal(0, 0.15 if group > 1 else 0.0)
                crowd.add(look, (_WALK, at, speed, float(offset), *sway, 0.0), size)


def _riding(generator: Generator, crowd: _Crowd, street: Street, duration_s: float) -> None:
    road = street.road
    for direction in (1.0, -1.0):
        x = generator.uniform(8, 40)
        speed = generator.uniform(3.2, 5.2) * direction
        limit = street.length_m + (duration_s * abs(speed) if direction < 0 else 0.0)
        side = street.traffic_side * direction
        offset = side * (road.half_width - road.parking - generator.uniform(0.22, 0.4))
        while x < limit:
            look, size = _person(generator, RIDER, abs(speed))
            sway = (0.08, generator.uniform(0.6, 1.2), generator.uniform(0, 6))
            crowd.add(look, (_DRIVE, x, speed, offset, *sway, 0.0), (1.75, 0.6, size[2] + 0.1))
            x += generator.exponential(60.0) + 10.0
