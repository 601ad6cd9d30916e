"""Everything but houses that stands beside a street: trees, bushes, railings, lamps, bollards, signs."""

from __future__ import annotations

import math

import numpy as np

from pipeline.synthetic.course import Builder
from pipeline.synthetic.objects import BUSH, LAMP, RAILING, SIGN, TREE
from pipeline.synthetic.roadway import TABLE_START_M

__all__ = ["LEAVES", "add_bush", "add_railing", "add_tree", "furnish"]

LEAVES = ((44, 104, 78), (40, 92, 62), (52, 112, 100), (48, 88, 92), (60, 110, 84))
_WHITE, _RED, _BLUE = (226.0, 230.0, 230.0), (44.0, 36.0, 190.0), (170.0, 94.0, 36.0)
_SIGNS = {3: ((_WHITE, _RED),), 4: ((_BLUE, _WHITE),), 16: ((_WHITE, _RED), (_BLUE, _WHITE), (_RED, _WHITE))}
_TWIGS = ((52, 62, 74), (58, 66, 72))


def add_railing(builder: Builder, x0: float, x1: float, offset: float, high: float) -> None:
    """An open fence from x0 to x1, in panels."""
    course, base = builder.course, builder.road.kerb
    color = (40.0, 44.0, 40.0) if builder.generator.random() < 0.6 else (150.0, 152.0, 150.0)
    panels = max(1, round((x1 - x0) / 2.0))
    step = (x1 - x0) / panels
    for i in range(panels):
        a, b = x0 + i * step, x0 + (i + 1) * step
        values = {5: b, 6: float(course.place(b, offset)), 7: high, 8: color[0], 9: color[1], 10: color[2]}
        builder.object(RAILING, a, offset, base, 0.0, values)


def add_tree(builder: Builder, x: float, offset: float, height: float) -> None:
    """A tree, in leaf or bare."""
    generator = builder.generator
    bare = generator.random() < 0.3
    palette = _TWIGS if bare else LEAVES
    color = np.array(palette[generator.integers(len(palette))]) * generator.uniform(0.85, 1.2)
    variety = float(generator.integers(3, 5) if bare else generator.integers(0, 3))
    crown = height * generator.uniform(0.66, 0.78)
    values = {5: height, 6: crown * generator.uniform(0.75, 1.1), 7: crown, 8: variety, 12: generator.uniform(0.1, 0.2)}
    builder.object(TREE, x, offset, builder.road.kerb, 0.0, values | {9: color[0], 10: color[1], 11: color[2]})


def add_bush(builder: Builder, x: float, offset: float, height: float) -> None:
    """A bush."""
    color = np.array(LEAVES[builder.generator.integers(len(LEAVES))]) * builder.generator.uniform(0.8, 1.15)
    values = {
        5: height,
        6: height * 1.3,
        8: float(builder.generator.integers(0, 3)),
        9: color[0],
        10: color[1],
        11: color[2],
    }
    builder.object(BUSH, x, offset, builder.road.kerb, 0.0, values)


def furnish(builder: Builder, side: int, length_m: float, green: float) -> None:
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
            _sign(builder, x, kerb)
        elif pick < 0.5 + 0.3 * green:
            add_tree(builder, x, kerb + side * 0.2, generator.uniform(4.5, 8.0))
        elif pick < 0.9:
            for i in range(int(generator.integers(1, 5))):
                builder.object(LAMP, x + 1.6 * i, kerb, road.kerb, 0.0, {5: 1.0, 6: 0.07, 8: 40.0, 9: 42.0, 10: 42.0})
        else:
            add_railing(builder, x, x + 8.0, kerb, 1.05)
            x += 8.0


def _sign(builder: Builder, x: float, offset: float) -> None:
    """A sign on a post: warning triangles, blue plates, round prohibitions and orders."""
    generator = builder.generator
    sides = int(generator.choice((3, 4, 16)))
    looks = _SIGNS[sides]
    face, rim = looks[generator.integers(len(looks))]
    turn = (math.pi if generator.random() < 0.7 else 0.0) + generator.normal(0, 0.12)
    values = {5: generator.uniform(2.1, 2.8), 6: generator.uniform(0.3, 0.48), 7: float(sides)}
    values |= {8: face[0], 9: face[1], 10: face[2], 11: rim[0], 12: rim[1], 13: rim[2]}
    builder.object(SIGN, x, offset, builder.road.kerb, turn, values)
