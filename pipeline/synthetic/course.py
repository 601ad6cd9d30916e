"""The course of a street, and the builder that places things along it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.objects import OBJECT_COLUMNS
from pipeline.synthetic.roadway import Road
from pipeline.synthetic.walls import WALL_COLUMNS

__all__ = ["Builder", "Course"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Course:
    """The centre line, a gently winding graph y = c(x) of the fixed frame.

    Attributes:
        waves: (K, 3) float64: amplitude in metres, radians per metre, phase of each sine.
    """

    waves: FloatArray

    def center(self, x: FloatArray | float) -> FloatArray:
        """c(x) in metres."""
        x = np.asarray(x, np.float64)[..., None]
        amplitude, rate, phase = self.waves.T
        return np.asarray((amplitude * (np.sin(rate * x + phase) - np.sin(phase))).sum(-1))

    def slope(self, x: FloatArray | float) -> FloatArray:
        """The derivative of c."""
        x = np.asarray(x, np.float64)[..., None]
        amplitude, rate, phase = self.waves.T
        return np.asarray((amplitude * rate * np.cos(rate * x + phase)).sum(-1))

    def place(self, x: FloatArray | float, offset: FloatArray | float) -> FloatArray:
        """Y of the points `offset` metres to the left of the centre line at x."""
        return np.asarray(self.center(x) + np.asarray(offset) * np.sqrt(1.0 + self.slope(x) ** 2))


@dataclass
class Builder:
    """Collects rows while the street grows along x."""

    course: Course
    road: Road
    generator: np.random.Generator
    walls: list[FloatArray]
    objects: list[FloatArray]

    def wall(self, ground: list[tuple[float, float]], low: float, high: float, style: dict[int, float]) -> None:
        """Add an upright wall between two points (x, offset), left one first as seen from outside."""
        (x0, t0), (x1, t1) = ground
        y0, y1 = float(self.course.place(x0, t0)), float(self.course.place(x1, t1))
        self.plane([(x0, y0, low), (x1, y1, low), (x1, y1, high), (x0, y0, high)], style)

    def plane(self, corners: list[tuple[float, float, float]], style: dict[int, float]) -> None:
        """Add any four-cornered plane; `style` overrides columns of `WALL_COLUMNS`."""
        row = np.zeros(WALL_COLUMNS)
        row[:12] = np.array(corners).ravel()
        row[[19, 20, 21, 22, 23, 28]] = 3.0, 1.2, 3.0, 1.6, 3.2, 2
        for column, value in style.items():
            row[column] = value
        self.walls.append(row)

    def object(self, kind: int, x: float, offset: float, z: float, turn: float, values: dict[int, float]) -> None:
        """Add what stands on a point (x, offset, height), turned from the heading of the road."""
        row = np.zeros(OBJECT_COLUMNS)
        row[:5] = kind, x, float(self.course.place(x, offset)), z, math.atan(float(self.course.slope(x))) + turn
        for column, value in values.items():
            row[column] = value
        self.objects.append(row)
