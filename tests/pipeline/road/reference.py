"""What `pipeline.road` computes, written out in NumPy on whole arrays: slow, and easy to believe."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import RoadView
from pipeline.metric import ClearDistance, Corridor, FreeSpace
from pipeline.scene import Scene

__all__ = ["clear_distance", "find_corridor", "free_space"]

FloatArray = NDArray[np.float64]

_BORDER_PLACES = np.stack([np.geomspace(5.0, 40.0, 32), np.zeros(32)], axis=1)
"""Where the borders are looked for: in the rows of the picture that show these places."""

_SLOPE_STD = 0.03
_BEND_STD_1_M = 1.0 / 120.0
"""What is expected of the road before it is seen: it runs within some degrees of the heading, with radii of more than
some 60 m."""

_BORDER_STD_M = 0.25
"""How straight borders are: parked cars, driveways, the mask's own mistakes."""

_LOOSENESS = (32.0, 16.0, 8.0, 4.0, 2.0, 1.0, 1.0, 1.0, 1.0)
"""Borders are fitted loosely first, so that a bend is not taken for mistakes far ahead (graduated non-convexity)."""

_ACROSS = 29
"""How many points across the strip are looked at; one blocks it, since a foot is hardly wider than
their spacing."""

_KNOTS = 5
_BETWEEN = np.array(
    [np.interp(np.linspace(0.0, _KNOTS - 1.0, _ACROSS), np.arange(_KNOTS), row) for row in np.eye(_KNOTS)]
)
"""(_KNOTS, _ACROSS) weights that put points evenly between the knots."""

_AHEAD_M = np.geomspace(1.0, 100.0, 320)
"""How far one looks, and in how many steps, each 1.5 % longer than the last."""


def find_corridor(scene: Scene, view: RoadView, half_width_m: float = 1.1) -> Corridor:
    """Fit the strip to the borders of the drivable area.

    Args:
        scene: What was seen.
        view: Camera and road, at the size of the scene's frame.
        half_width_m: Half the width of the vehicle, with a margin.
    """
    values, covariance = _fit_parallels(*_borders(scene.drivable.mask, view))
    return Corridor(half_width_m, float(values[0]), float(values[1]), covariance)


def clear_distance(
    scene: Scene, view: RoadView, corridor: Corridor, *, from_m: float = 0.0, pixel_std_px: float = 1.0
) -> ClearDistance:
    """Go along the strip until something is in the way.

    Args:
        scene: What was seen.
        view: Camera and road, at the size of the scene's frame.
        corridor: The strip.
        from_m: Nearer than that nothing is looked at: where the own bonnet hides the road.
        pixel_std_px: How well the mask's edge is known.
    """
    ahead = _AHEAD_M
    places = _across(corridor, ahead, np.linspace(-corridor.half_width_m, corridor.half_width_m, _KNOTS))
    # A lens bends so short a line so little that a few of its points tell the others.
    pixels = view.image_from_road(places.reshape(-1, 2)).reshape(len(ahead), _KNOTS, 2)
    pixels = np.stack([pixels[..., 0] @ _BETWEEN, pixels[..., 1] @ _BETWEEN], axis=2)
    mask = scene.drivable.mask
    hidden, seen = _look_up(mask, pixels)
    blocked = np.asarray(hidden.any(axis=1))
    visible = np.flatnonzero(seen[:, _ACROSS // 2] & (ahead >= from_m))
    if not len(visible):
        return ClearDistance(0.0, 0.0, is_open=False, place_px=None)
    middle, rows = places[:, _KNOTS // 2], pixels[:, _ACROSS // 2, 1]
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(middle, axis=0), axis=1))]) + ahead[0]
    for hit in (np.flatnonzero(blocked[visible[0] :]) + visible[0]).tolist():
        beyond = (rows < rows[hit] - 0.5) & (rows > rows[hit] - 2.0)  # A single row is noise.
        if blocked[beyond].all():
            here = np.flatnonzero(hidden[hit])
            place = pixels[hit, here[len(here) // 2]]
            std = float(view.distance_std_m(place[None], pixel_std_px)[0])
            before = way[max(hit - 1, 0)]
            return ClearDistance(
                float(before + way[hit]) / 2.0, std, is_open=False, place_px=(float(place[0]), float(place[1]))
            )
    return ClearDistance(float(way[visible[-1]]), 0.0, is_open=True, place_px=None)


def _across(corridor: Corridor, ahead_m: FloatArray, across_m: FloatArray) -> FloatArray:
    """(N, K, 2) points of the road: N along the strip, K across it."""
    middle = np.stack([ahead_m, corridor.lateral_m(ahead_m)], axis=1)
    direction = np.stack([np.ones_like(ahead_m), corridor.slope + corridor.curvature_1_m * ahead_m], axis=1)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    leftward = np.stack([-direction[:, 1], direction[:, 0]], axis=1)
    return np.asarray(middle[:, None] + across_m[None, :, None] * leftward[:, None])


def _look_up(mask: NDArray[np.uint8], pixels: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether pixels lie in the picture and the mask is not set there; and whether they lie in the picture."""
    height, width = mask.shape
    x, y = pixels[..., 0], pixels[..., 1]
    with np.errstate(invalid="ignore"):
        seen = np.asarray((x >= 0.0) & (y >= 0.0) & (x < width) & (y < height))
    place = np.where(seen, y, 0.0).astype(np.intp) * width + np.where(seen, x, 0.0).astype(np.intp)
    return np.asarray(seen & (mask.ravel()[place] == 0)), seen


def _borders(mask: NDArray[np.uint8], view: RoadView) -> tuple[FloatArray, FloatArray]:
    """(N, 2) and (M, 2) points of the road where the drivable area ends to the left and to the right."""
    height, width = mask.shape
    rows = view.image_from_road(_BORDER_PLACES)[:, 1]
    edges: tuple[list[Any], list[Any]] = ([], [])
    for row in np.unique(rows[(rows >= 0.0) & (rows < height)].astype(int)).tolist():
        clear = np.flatnonzero(mask[row])  # Its ends: what stands between them is on the road, not beside it.
        if len(clear) and clear[0] > 0:
            edges[0].append((float(clear[0]), row + 0.5))
        if len(clear) and clear[-1] < width - 1:
            edges[1].append((clear[-1] + 1.0, row + 0.5))
    left, right = (view.road_from_image(np.array(side, np.float64).reshape(-1, 2)) for side in edges)
    return left, right


def _fit_parallels(left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slope and curvature of two parallel curves through points (x, y), (2,) and their covariance (2, 2).

    Cauchy's loss leaves out what stands before a border; what is expected of a road holds where nothing is seen.
    """
    points = np.concatenate([left, right])
    is_left = np.arange(len(points)) < len(left)
    x, y = points.T
    design = np.stack([is_left, ~is_left, x, 0.5 * x**2], axis=1).astype(np.float64)
    prior = np.diag([1e-4, 1e-4, _SLOPE_STD**-2, _BEND_STD_1_M**-2])
    std = _BORDER_STD_M * (0.5 + x / 20.0)
    # Start from the middle of each side: a border seen once near and once far would else swing the curve.
    values = np.array(
        [np.median(y[is_left]) if is_left.any() else 0.0, np.median(y[~is_left]) if (~is_left).any() else 0.0, 0.0, 0.0]
    )
    normal = prior
    for looseness in _LOOSENESS:
        off = (y - design @ values) / (std * looseness)
        weights = 1.0 / (1.0 + off**2) / std**2
        normal = design.T @ (design * weights[:, None]) + prior
        values = np.linalg.solve(normal, design.T @ (y * weights))
    # Rows see the same car and the same kerb: an eighth of them count as independent.
    covariance = np.linalg.inv((normal - prior) / 8.0 + prior)
    return np.asarray(values[2:]), np.asarray(covariance[2:, 2:])


def free_space(scene: Scene, view: RoadView, *, every_px: int = 4, pixel_std_px: float = 1.0) -> FreeSpace:
    """Put the ends of the clear road onto the road plane.

    The end is taken to stand on the road: where a kerb, a wheel or a foot meets it.

    Args:
        scene: What was seen.
        view: Camera and road, at the size of the scene's frame.
        every_px: Spacing of the columns.
        pixel_std_px: How well the mask's edge is known.
    """
    rows = scene.drivable.free_space_px[::every_px]
    columns = np.arange(0, len(scene.drivable.free_space_px), every_px) + 0.5
    has_road = rows >= 0
    # The upper edge of the last clear row: half a row from its centre and from that of the first blocked one.
    pixels = np.stack([columns, rows.astype(np.float64)], axis=1)
    ends = np.asarray(np.where(has_road[:, None], view.road_from_image(pixels), np.nan), np.float64)
    deviations = np.asarray(np.where(has_road, view.distance_std_m(pixels, pixel_std_px), np.nan), np.float64)
    distance = np.linalg.norm(ends, axis=1)
    distance = np.where(has_road, np.where(np.isnan(distance), np.inf, distance), 0.0)
    return FreeSpace(np.asarray(columns, np.float64), ends, np.asarray(distance, np.float64), deviations)
