"""The strip of road that the vehicle will drive over, laid into the picture, and how far it is clear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.metric import RoadScene
from pipeline.overlay.lettering import SEMIBOLD, draw_text, text_width
from pipeline.overlay.levels import Plain, draw_levels
from pipeline.overlay.pen import Layer, Pen, draw_lines
from pipeline.overlay.road_users import Rectangle, rounded_rectangle
from pipeline.overlay.style import AMBER, PANEL, WHITE, Style
from pipeline.scene import Picture

__all__ = ["clear_words", "draw_corridor", "strip_lines"]

_POINTS = 24
_NEAREST_M = 1.5
_FARTHEST_M = 60.0
"""Beyond, the two edges of the strip run into one."""


def draw_corridor(picture: Picture, road: RoadScene, style: Style, layer: Layer) -> list[Rectangle]:
    """Draw both edges of the strip up to where it is clear, and there a bar with the distance.

    Args:
        picture: Drawn into.
        road: The road in metres.
        style: Sizes.
        layer: Room of the picture's size.

    Returns:
        Where the distance is written, xyxy; nothing where it is not.
    """
    clear = road.clear
    if clear.distance_m <= _NEAREST_M:
        return []
    both = _in_picture(road, np.concatenate(strip_lines(road, min(clear.distance_m, _FARTHEST_M))))
    left, right = both[:_POINTS], both[_POINTS:]
    draw_lines(picture, [left, right], Pen(WHITE, 0.9 * style.line_px, 0.85, PANEL, 2.0 * style.line_px, 0.35), layer)
    if clear.is_open or clear.distance_m > _FARTHEST_M:
        return []
    bar = np.stack([left[-1], right[-1]])
    draw_lines(picture, [bar], Pen(AMBER, 1.6 * style.line_px, 1.0, PANEL, 2.0 * style.line_px, 0.5), layer)
    if not style.with_text or (bar[:, 1] < 0).any():
        return []
    return [_draw_distance(picture, clear_words(road), bar, style)]


def strip_lines(road: RoadScene, until_m: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 2) left and right edge of the strip in the road frame, from near the vehicle to a distance ahead."""
    corridor = road.corridor
    ahead = np.geomspace(_NEAREST_M, until_m, _POINTS)
    direction = corridor.slope + corridor.curvature_1_m * ahead
    leftward = np.stack([-direction, np.ones_like(ahead)], axis=1) / np.hypot(1.0, direction)[:, None]
    middle = np.stack([ahead, corridor.lateral_m(ahead)], axis=1)
    return middle + corridor.half_width_m * leftward, middle - corridor.half_width_m * leftward


def clear_words(road: RoadScene) -> str:
    """How far the strip is clear, for people."""
    clear = road.clear
    if clear.place_px is None and not clear.is_open:
        return "unknown"
    return f"{'> ' if clear.is_open else ''}{clear.distance_m:.0f} m"


def _in_picture(road: RoadScene, points_m: NDArray[np.float64]) -> NDArray[np.float32]:
    """(N, 2) float32 where points of the road appear; a negative y where they do not, which lifts the pen."""
    pixels = road.view.image_from_road(points_m)
    pixels[~np.isfinite(pixels).all(axis=1)] = -1.0
    return np.asarray(pixels, np.float32)


def _draw_distance(picture: Picture, text: str, bar: NDArray[np.float32], style: Style) -> Rectangle:
    """A small plate on the middle of the bar, below it: above it stands what is in the way."""
    size = max(9, round(0.95 * style.text_px))
    padding = max(2, round(size * 0.36))
    width, height = text_width(text, size, SEMIBOLD) + 2 * padding, round(size * 1.3)
    left = min(max(0, round(float(bar[:, 0].mean()) - width / 2)), max(0, picture.shape[1] - width))
    top = min(round(float(bar[:, 1].max())) + 2 * style.line_px, picture.shape[0] - height)
    draw_levels(picture, rounded_rectangle(height, width, height // 3), left, top, Plain(PANEL, 0.78))
    draw_text(picture, text, left + padding, top + round(height * 0.5 + size * 0.345), size, AMBER, SEMIBOLD)
    return left, top, left + width, top + height
