"""The building lines: houses, gaps and gardens."""

from __future__ import annotations

import numpy as np

from pipeline.synthetic.course import Builder
from pipeline.synthetic.kerbside import LEAVES, add_bush, add_railing, add_tree
from pipeline.synthetic.roadway import TABLE_START_M
from pipeline.synthetic.walls import FACADE, HEDGE, PLAIN, ROOF, SHOP

__all__ = ["build_line"]

_BRICKS = (
    (70, 88, 142),
    (92, 112, 158),
    (120, 150, 172),
    (150, 172, 186),
    (188, 196, 200),
    (205, 210, 212),
    (110, 116, 120),
    (84, 96, 128),
)
_TRIMS = ((222, 226, 226), (206, 212, 214), (170, 190, 200), (70, 70, 74))
_SHOPS = ((60, 40, 120), (110, 70, 30), (50, 90, 40), (40, 40, 44), (40, 120, 190), (120, 40, 90))


def build_line(builder: Builder, side: int, length_m: float, green: float) -> list[tuple[float, float, float]]:
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


def _house(builder: Builder, side: int, edge: float, x0: float, x1: float, storeys: int) -> float:
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
        19: bay, 20: bay * generator.uniform(0.36, 0.62), 21: storey, 22: storey * generator.uniform(0.45, 0.62),
        23: ground,
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
        ridge = [
            (x0, float(course.place(x0, t)), h)
            for t, h in ((edge, high), (edge + side * 8.0, high), (edge + side * 4.0, high + rise))
        ]
        triangle = [ridge[1], ridge[0], ridge[2], ridge[2]] if side > 0 else [*ridge, ridge[2]]
        builder.plane(triangle, gable)
    return float(high)


def _garden(builder: Builder, side: int, edge: float, x0: float) -> float:
    """Trees behind a hedge, a board fence or a railing. Returns where it ends."""
    generator, base = builder.generator, builder.road.kerb
    x1 = x0 + generator.uniform(8.0, 26.0)
    kind = generator.random()
    front = [(x0, edge), (x1, edge)] if side > 0 else [(x1, edge), (x0, edge)]
    if kind < 0.4:
        green = np.array(LEAVES[generator.integers(len(LEAVES))]) * 0.8
        style = {12: HEDGE, 13: green[0], 14: green[1], 15: green[2], 28: 8}
        builder.wall(front, base, base + generator.uniform(1.0, 2.2), style)
    elif kind < 0.65:
        wood = np.array([70.0, 96.0, 124.0]) * generator.uniform(0.7, 1.2)
        style = {12: PLAIN, 13: wood[0], 14: wood[1], 15: wood[2], 28: 4}
        builder.wall(front, base, base + generator.uniform(1.1, 1.9), style)
    elif kind < 0.92:
        add_railing(builder, x0, x1, edge, generator.uniform(1.0, 1.7))
    for x in np.arange(x0 + 2.0, x1 - 1.0, generator.uniform(3.5, 6.5)):
        add_tree(builder, float(x), edge + side * generator.uniform(1.5, 6.0), generator.uniform(5.0, 11.0))
        add_bush(builder, float(x) + 1.5, edge + side * generator.uniform(1.0, 4.0), generator.uniform(1.2, 2.6))
    return float(x1)
