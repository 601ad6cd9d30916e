"""The street of a seed: its course, its buildings and everything that stands along it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.objects import BUSH, LAMP, OBJECT_COLUMNS, RAILING, SIGN, TREE
from pipeline.synthetic.roadway import TABLE_START_M, TABLE_STEPS_PER_M, Road, RoadTables
from pipeline.synthetic.sky import HIGHEST_SKYLINE
from pipeline.synthetic.walls import FACADE, HEDGE, PLAIN, ROOF, SHOP, WALL_COLUMNS

__all__ = ["Course", "Street", "build_street"]

FloatArray = NDArray[np.float64]
Generator = np.random.Generator

_BRICKS = ((70, 88, 142), (92, 112, 158), (120, 150, 172), (150, 172, 186), (188, 196, 200), (205, 210, 212), (110, 116, 120), (84, 96, 128))
_TRIMS = ((222, 226, 226), (206, 212, 214), (170, 190, 200), (70, 70, 74))
_SHOPS = ((60, 40, 120), (110, 70, 30), (50, 90, 40), (40, 40, 44), (40, 120, 190), (120, 40, 90))
_LEAVES = ((44, 104, 78), (40, 92, 62), (52, 112, 100), (48, 88, 92), (60, 110, 84))
_TWIGS = ((52, 62, 74), (58, 66, 72))


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
        """y of the points `offset` metres to the left of the centre line at x."""
        return np.asarray(self.center(x) + np.asarray(offset) * np.sqrt(1.0 + self.slope(x) ** 2))


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


@dataclass
class _Builder:
    """Collects rows while the street grows along x."""

    course: Course
    road: Road
    generator: Generator
    walls: list[FloatArray]
    objects: list[FloatArray]

    def wall(self, ground: list[tuple[float, float]], low: float, high: float, style: dict[int, float]) -> None:
        """Add an upright wall between two points (x, offset), left one first as seen from outside."""
        (x0, t0), (x1, t1) = ground
        y0, y1 = float(self.course.place(x0, t0)), float(self.course.place(x1, t1))
        self.plane([(x0, y0, low), (x1, y1, low), (x1, y1, high), (x0, y0, high)], style)

    def plane(self, corners: list[tuple[float, float, float]], style: dict[int, float]) -> None:
        row = np.zeros(WALL_COLUMNS)
        row[:12] = np.array(corners).ravel()
        row[[19, 20, 21, 22, 23, 28]] = 3.0, 1.2, 3.0, 1.6, 3.2, 2
        for column, value in style.items():
            row[column] = value
        self.walls.append(row)

    def object(self, kind: int, x: float, offset: float, z: float, turn: float, values: dict[int, float]) -> None:
        row = np.zeros(OBJECT_COLUMNS)
        row[:5] = kind, x, float(self.course.place(x, offset)), z, math.atan(float(self.course.slope(x))) + turn
        for column, value in values.items():
            row[column] = value
        self.objects.append(row)


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
        builder = _Builder(course, road, streams[1 + index], walls, objects)
        roofs.append(_line_with_buildings(builder, side, length_m, green))
        _furnish(_Builder(course, road, streams[3 + index], walls, objects), side, length_m, green)
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


def _line_with_buildings(
    builder: _Builder, side: int, length_m: float, green: float
) -> list[tuple[float, float, float]]:
    """Houses, gaps and gardens along one side; returns (start, end, roof height) of the houses."""
    generator = builder.generator
    edge = side * (builder.road.half_width + builder.road.pavement)
    roofs = []
    x = TABLE_START_M
    storeys = generator.uniform(2.2, 4.2)
    while x < length_m:
        if generator.random() < green * 0.55:
            x = _garden(builder, side, edge, x)
            continue
        wide = generator.uniform(6.0, 17.0)
        count = max(2, round(generator.normal(storeys, 0.6)))
        roofs.append((x, x + wide, _house(builder, side, edge, x, x + wide, count)))
        x += wide
        if generator.random() < 0.22:
            x += generator.uniform(1.5, 5.0)
    return roofs


def _house(builder: _Builder, side: int, edge: float, x0: float, x1: float, storeys: int) -> float:
    """One house: front, gables and roof. Returns the height of its eaves."""
    generator, base = builder.generator, builder.road.kerb
    brick = np.array(_BRICKS[generator.integers(len(_BRICKS))]) * generator.uniform(0.82, 1.08)
    trim, shop = _TRIMS[generator.integers(len(_TRIMS))], _SHOPS[generator.integers(len(_SHOPS))]
    is_shop = generator.random() < 0.4
    storey, ground = generator.uniform(2.8, 3.4), generator.uniform(2.9, 3.8)
    bays = max(1, round((x1 - x0) / generator.uniform(2.2, 3.6)))
    bay = (x1 - x0) / bays
    high = base + ground + storey * (storeys - 1) + generator.uniform(0.2, 0.7)
    style = {
        12: SHOP if is_shop else FACADE, 13: brick[0], 14: brick[1], 15: brick[2],
        16: trim[0], 17: trim[1], 18: trim[2],
        19: bay, 20: bay * generator.uniform(0.36, 0.62), 21: storey, 22: storey * generator.uniform(0.45, 0.62), 23: ground,
        24: shop[0], 25: shop[1], 26: shop[2],
        27: float(generator.integers(1 << 20)), 29: float(generator.choice((0.0, 0.16, 0.22))),
    }  # fmt: skip
    front = [(x0, edge), (x1, edge)] if side > 0 else [(x1, edge), (x0, edge)]
    builder.wall(front, base, high, style)
    back = edge + side * 9.0
    gable = {12: PLAIN, 13: brick[0] * 0.9, 14: brick[1] * 0.9, 15: brick[2] * 0.9}
    builder.wall([(x0, back), (x0, edge)] if side > 0 else [(x0, edge), (x0, back)], base, high, gable)
    if generator.random() < 0.7:
        rise, tile = generator.uniform(1.6, 3.2), np.array([62.0, 66.0, 82.0]) * generator.uniform(0.8, 1.4)
        course = builder.course
        lower = [(x, float(course.place(x, edge)), high) for x, _ in front]
        upper = [(x, float(course.place(x, edge + side * 4.0)), high + rise) for x, _ in front[::-1]]
        builder.plane(lower + upper, {12: ROOF, 13: tile[0], 14: tile[1], 15: tile[2]})
        ridge = [(x0, float(course.place(x0, t)), h) for t, h in ((edge, high), (edge + side * 8.0, high), (edge + side * 4.0, high + rise))]
        triangle = [ridge[1], ridge[0], ridge[2], ridge[2]] if side > 0 else [*ridge, ridge[2]]
        builder.plane(triangle, gable)
    return high


def _garden(builder: _Builder, side: int, edge: float, x0: float) -> float:
    """Trees behind a hedge, a board fence or a railing. Returns where it ends."""
    generator, base = builder.generator, builder.road.kerb
    x1 = x0 + generator.uniform(8.0, 26.0)
    kind = generator.random()
    front = [(x0, edge), (x1, edge)] if side > 0 else [(x1, edge), (x0, edge)]
    if kind < 0.4:
        green = np.array(_LEAVES[generator.integers(len(_LEAVES))]) * 0.8
        style = {12: HEDGE, 13: green[0], 14: green[1], 15: green[2], 28: 8}
        builder.wall(front, base, base + generator.uniform(1.0, 2.2), style)
    elif kind < 0.65:
        wood = np.array([70.0, 96.0, 124.0]) * generator.uniform(0.7, 1.2)
        style = {12: PLAIN, 13: wood[0], 14: wood[1], 15: wood[2], 28: 4}
        builder.wall(front, base, base + generator.uniform(1.1, 1.9), style)
    elif kind < 0.92:
        _railing(builder, x0, x1, edge, generator.uniform(1.0, 1.7))
    for x in np.arange(x0 + 2.0, x1 - 1.0, generator.uniform(3.5, 6.5)):
        _tree(builder, float(x), edge + side * generator.uniform(1.5, 6.0), generator.uniform(5.0, 11.0))
        _bush(builder, float(x) + 1.5, edge + side * generator.uniform(1.0, 4.0), generator.uniform(1.2, 2.6))
    return x1


def _railing(builder: _Builder, x0: float, x1: float, offset: float, high: float) -> None:
    course, base = builder.course, builder.road.kerb
    color = (40.0, 44.0, 40.0) if builder.generator.random() < 0.6 else (150.0, 152.0, 150.0)
    panels = max(1, round((x1 - x0) / 2.0))
    step = (x1 - x0) / panels
    for i in range(panels):
        a, b = x0 + i * step, x0 + (i + 1) * step
        values = {5: b, 6: float(course.place(b, offset)), 7: high, 8: color[0], 9: color[1], 10: color[2]}
        builder.object(RAILING, a, offset, base, 0.0, values)


def _tree(builder: _Builder, x: float, offset: float, height: float) -> None:
    generator = builder.generator
    bare = generator.random() < 0.3
    palette = _TWIGS if bare else _LEAVES
    color = np.array(palette[generator.integers(len(palette))]) * generator.uniform(0.85, 1.2)
    variety = float(generator.integers(3, 5) if bare else generator.integers(0, 3))
    crown = height * generator.uniform(0.66, 0.78)
    values = {5: height, 6: crown * generator.uniform(0.75, 1.1), 7: crown, 8: variety, 12: generator.uniform(0.1, 0.2)}
    builder.object(TREE, x, offset, builder.road.kerb, 0.0, values | {9: color[0], 10: color[1], 11: color[2]})


def _bush(builder: _Builder, x: float, offset: float, height: float) -> None:
    color = np.array(_LEAVES[builder.generator.integers(len(_LEAVES))]) * builder.generator.uniform(0.8, 1.15)
    values = {5: height, 6: height * 1.3, 8: float(builder.generator.integers(0, 3)), 9: color[0], 10: color[1], 11: color[2]}
    builder.object(BUSH, x, offset, builder.road.kerb, 0.0, values)


def _furnish(builder: _Builder, side: int, length_m: float, green: float) -> None:
    """Lamps, signs, bollards, trees and railings along the kerb of one side."""
    generator, road = builder.generator, builder.road
    kerb = side * (road.half_width + 0.45)
    gap = generator.uniform(22.0, 38.0)
    lamp_high, grey = generator.uniform(6.0, 8.5), generator.uniform(50, 150)
    for x in np.arange(TABLE_START_M + generator.uniform(0, gap), length_m, gap):
        values = {5: lamp_high, 6: 0.08, 7: 1.4, 8: grey, 9: grey, 10: grey}
        builder.object(LAMP, float(x), kerb, road.kerb, -side * math.pi / 2, values)
    x = TABLE_START_M
    while x < length_m:
        x += generator.uniform(5.0, 20.0)
        pick = generator.random()
        if pick < 0.3:
            _sign(builder, x, kerb, side)
        elif pick < 0.5 + 0.3 * green:
            _tree(builder, x, kerb + side * 0.2, generator.uniform(4.5, 8.0))
        elif pick < 0.9:
            for i in range(int(generator.integers(1, 5))):
                builder.object(LAMP, x + 1.6 * i, kerb, road.kerb, 0.0, {5: 1.0, 6: 0.07, 8: 40.0, 9: 42.0, 10: 42.0})
        else:
            _railing(builder, x, x + 8.0, kerb, 1.05)
            x += 8.0


def _sign(builder: _Builder, x: float, offset: float, side: int) -> None:
    generator = builder.generator
    shape = int(generator.choice((3, 4, 16)))
    face, rim = (
        ((226, 230, 230), (44, 36, 190)) if shape == 3
        else ((168, 92, 34), (226, 228, 228)) if shape == 4
        else (((226, 230, 230), (44, 36, 190)), ((170, 96, 36), (200, 200, 196)), ((40, 32, 180), (220, 220, 220)))[generator.integers(3)]
    )  # fmt: skip
    own_side = generator.random() < 0.7
    turn = math.pi + generator.normal(0, 0.12) if own_side else generator.normal(0, 0.12)
    values = {5: generator.uniform(2.1, 2.8), 6: generator.uniform(0.3, 0.48), 7: float(shape)}
    values |= {8: face[0], 9: face[1], 10: face[2], 11: rim[0], 12: rim[1], 13: rim[2]}
    builder.object(SIGN, x, offset, builder.road.kerb, turn, values)
