"""The street of a seed: its course, its road, and everything that stands along it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.course import Builder, Course
from pipeline.synthetic.houses import build_line
from pipeline.synthetic.kerbside import furnish
from pipeline.synthetic.roadway import TABLE_START_M, TABLE_STEPS_PER_M, Road, RoadTables
from pipeline.synthetic.sky import HIGHEST_SKYLINE

__all__ = ["Street", "build_street"]

FloatArray = NDArray[np.float64]
Generator = np.random.Generator


@dataclass(frozen=True)
class Street:
    """Everything that does not move.

    Attributes:
        course: The centre line.
        road: Measures and colours of carriageway and pavements.
        tables: What changes along them.
        walls: (N, WALL_COLUMNS) float64, sorted by their first x.
        wall_starts: (N,) float64, smallest x of each wall.
        objects: (M, OBJECT_COLUMNS) float64, sorted by x.
        traffic_side: +1 where traffic keeps left, -1 where it keeps right: the sign of the own lane's offset.
        lane_m: Offset of the middle of a lane from the centre line.
        length_m: How far the street goes.
    """

    course: Course
    road: Road
    tables: RoadTables
    walls: FloatArray
    wall_starts: FloatArray
    objects: FloatArray
    traffic_side: int
    lane_m: float
    length_m: float


def build_street(seed: int, length_m: float) -> Street:
    """Grow the street of a seed to a length; a longer one begins with the same houses."""
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence([seed, 1]).spawn(6)]
    plan = streams[0]
    waves = np.array(
        [[plan.uniform(0.0, 5.0), 2 * math.pi / plan.uniform(240, 420), plan.uniform(0, 6.3)],
         [plan.uniform(0.0, 1.0), 2 * math.pi / plan.uniform(120, 200), plan.uniform(0, 6.3)]]
    )  # fmt: skip
    course = Course(waves)
    road = _road(plan)
    walls: list[FloatArray] = []
    objects: list[FloatArray] = []
    green = plan.uniform(0.05, 0.75)
    roofs = []
    for index, side in enumerate((1, -1)):
        builder = Builder(course, road, streams[1 + index], walls, objects)
        roofs.append(build_line(builder, side, length_m, green))
        furnish(Builder(course, road, streams[3 + index], walls, objects), side, length_m, green)
    wall_array = np.array(walls)
    starts = wall_array[:, [0, 3, 6, 9]].min(axis=1)
    order = np.argsort(starts, kind="stable")
    object_array = np.array(objects)
    return Street(
        course=course,
        road=road,
        tables=_tables(streams[5], course, length_m, roofs),
        walls=np.ascontiguousarray(wall_array[order]),
        wall_starts=starts[order],
        objects=np.ascontiguousarray(object_array[np.argsort(object_array[:, 1], kind="stable")]),
        traffic_side=int(plan.choice((1, -1))),
        lane_m=0.5 * (road.half_width - road.parking),
        length_m=length_m,
    )


def _road(plan: Generator) -> Road:
    lane = plan.uniform(2.9, 3.6)
    parking = float(plan.choice((0.0, 2.1), p=(0.35, 0.65)))
    grey, stone = plan.uniform(78, 128), plan.uniform(118, 172)
    return Road(
        half_width=lane + parking,
        pavement=plan.uniform(2.2, 4.2),
        kerb=plan.uniform(0.09, 0.15),
        parking=parking,
        dash=plan.uniform(2.0, 4.0),
        gap=plan.uniform(3.0, 6.0),
        edge_lines=int(plan.integers(0, 3)) if parking == 0.0 else 0,
        edge_color=((60.0, 190.0, 215.0), (205.0, 208.0, 208.0))[int(plan.integers(2))],
        slab=plan.uniform(0.45, 0.9),
        paving=(stone * plan.uniform(0.9, 1.0), stone * plan.uniform(0.96, 1.0), stone * 1.02),
        asphalt=(grey * 1.02, grey, grey * 0.985),
    )


def _tables(
    generator: Generator, course: Course, length_m: float, roofs: list[list[tuple[float, float, float]]]
) -> RoadTables:
    steps = int((length_m - TABLE_START_M) * TABLE_STEPS_PER_M) + 4
    x = TABLE_START_M + np.arange(steps) / TABLE_STEPS_PER_M
    skyline, kinds = _skyline(generator)
    return RoadTables(
        center=course.center(x),
        cosine=1.0 / np.sqrt(1.0 + course.slope(x) ** 2),
        roof_left=_roof_table(roofs[0], steps),
        roof_right=_roof_table(roofs[1], steps),
        skyline=skyline,
        skyline_kind=kinds,
        zebra=np.cumsum(generator.uniform(60, 160, 1 + int(length_m / 60))),
    )


def _skyline(generator: Generator) -> tuple[FloatArray, NDArray[np.uint8]]:
    """Distant trees and roofs all around the horizon."""
    heights, kinds = np.zeros(1024), np.zeros(1024, np.uint8)
    i = 0
    while i < 1024:
        wide = int(generator.integers(8, 40))
        tree = generator.random() < 0.65
        level = generator.uniform(0.02, 0.055)
        part = slice(i, min(i + wide, 1024))
        count = len(heights[part])
        bump = np.sin(np.linspace(0.2, math.pi - 0.2, count)) if tree else np.ones(count)
        rough = np.repeat(generator.normal(0, 0.0025 if tree else 0.0, count), 1)
        heights[part] = level * (0.7 + 0.3 * bump) + rough
        kinds[part] = 8 if tree else 2
        i += wide
    return np.minimum(heights, HIGHEST_SKYLINE), kinds


def _roof_table(roofs: list[tuple[float, float, float]], steps: int) -> FloatArray:
    table = np.zeros(steps)
    for start, stop, height in roofs:
        first, last = ((np.array([start, stop]) - TABLE_START_M) * TABLE_STEPS_PER_M).astype(int)
        table[max(first, 0) : max(last, 0)] = height
    return table
