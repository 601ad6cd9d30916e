"""Persons, riders and cars: tinted, outlined, standing on a mark, and named."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.overlay.kernels import blend_color, smooth_contour
from pipeline.overlay.lettering import SEMIBOLD, draw_text, text_width
from pipeline.overlay.pen import Pen, draw_lines, fill_ellipse
from pipeline.overlay.style import DANGER, Color, Style, ink_on, instance_color
from pipeline.scene import Picture, RoadUser

__all__ = ["Rectangle", "draw_road_users", "rounded_rectangle"]

_FILL_OPACITY = 72
_SMALLEST_LABELLED = 2.0
"""Road users lower than this many text sizes get no label: it would hide more than it tells."""

_SMALLEST_COVERED = 6.0
"""Road users lower than this many text sizes are not covered by the labels of others."""

Rectangle = tuple[int, int, int, int]
"""(x1, y1, x2, y2) in pixels, half-open."""


def draw_road_users(
    picture: Picture,
    road_users: tuple[RoadUser, ...],
    style: Style,
    layer: NDArray[np.uint8],
    taken: Sequence[Rectangle] = (),
) -> list[Rectangle]:
    """Draw all road users into the picture; labels last, of those in the path and then of the largest first, where
    they cover neither another label nor somebody small.

    Args:
        picture: Drawn into.
        road_users: Whom to draw.
        style: Sizes.
        layer: (H, W) uint8 scratch, 0 everywhere before and after.
        taken: Where no label shall be, xyxy.

    Returns:
        Where the labels are, xyxy, after `taken`.
    """
    for user in road_users:
        color = _color(user)
        _draw_body(picture, user, color, style.line_px, layer)
        _draw_foot(picture, user, color, style.line_px)
    taken = list(taken)
    if not style.with_text:
        return taken
    small = [user for user in road_users if _height(user) < _SMALLEST_COVERED * style.text_px]
    for user in sorted(road_users, key=lambda user: (not _is_in_path(user), -user.area_px)):
        if _height(user) >= _SMALLEST_LABELLED * style.text_px:
            others = [other.box_xyxy for other in small if other is not user]
            place = _draw_label(picture, user, style, taken + others)
            if place is not None:
                taken.append(place)
    return taken


def _is_in_path(user: RoadUser) -> bool:
    return user.whereabouts is not None and user.whereabouts.in_path


def _color(user: RoadUser) -> Color:
    return DANGER if _is_in_path(user) else instance_color(user.class_name, user.id)


def _words(user: RoadUser) -> str:
    """Who it is, how far away, and whether it is in the way or about to be."""
    name = user.recognition.name if user.recognition is not None else f"{user.class_name} {user.id}"
    there = user.whereabouts
    if there is None:
        return name
    words = f"{name}  {there.distance_m:.0f} m"
    if there.in_path:
        return f"{words}  in path"
    return words if there.enters_path_in_s is None else f"{words}  in path in {there.enters_path_in_s:.1f} s"


def _height(user: RoadUser) -> int:
    return user.box_xyxy[3] - user.box_xyxy[1]


def _draw_body(picture: Picture, user: RoadUser, color: Color, line_px: int, layer: NDArray[np.uint8]) -> None:
    left, top = user.box_xyxy[:2]
    mask = user.mask * np.uint8(255)
    blend_color(picture, mask, left, top, *color, _FILL_OPACITY)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(left, top))
    lines = [
        smooth_contour(np.asarray(contour, np.int32).reshape(-1, 2), 2 * line_px, 2 * line_px)
        for contour in contours
        if len(contour) > 4
    ]
    draw_lines(picture, lines, Pen(color, 1.2 * line_px, 1.0, (0, 0, 0), 1.6 * line_px, 0.4), layer)


def _draw_foot(picture: Picture, user: RoadUser, color: Color, line_px: int) -> None:
    """A small disc, seen flat as it would lie on the road."""
    radius = min(4.5 * line_px, 0.3 * (user.box_xyxy[2] - user.box_xyxy[0]) + 1)
    for extra, fill in ((0.45 * line_px + 0.6, (255, 255, 255)), (0.0, color)):
        fill_ellipse(picture, user.foot_px, (radius + extra, 0.5 * radius + extra), fill)


def _draw_label(picture: Picture, user: RoadUser, style: Style, taken: list[Rectangle]) -> Rectangle | None:
    text = _words(user)
    padding = max(2, round(style.text_px * 0.36))
    width = text_width(text, style.text_px, SEMIBOLD) + 2 * padding
    height = round(style.text_px * 1.36)
    place = _free_place(user.box_xyxy, width, height, style.line_px, picture.shape[:2], taken)
    if place is None:
        return None
    x1, y1, _, _ = place
    color = _color(user)
    blend_color(picture, rounded_rectangle(height, width, height // 4), x1, y1, *color, 230)
    baseline = y1 + round(height * 0.5 + style.text_px * 0.345)
    draw_text(picture, text, x1 + padding, baseline, style.text_px, ink_on(color), SEMIBOLD)
    return place


def _free_place(
    box: Rectangle, width: int, height: int, gap: int, size_hw: tuple[int, int], taken: list[Rectangle]
) -> Rectangle | None:
    """Where a label goes: above its box, else inside at the top, else below; None where all that is taken."""
    picture_height, picture_width = size_hw
    left = min(max(0, (box[0] + box[2] - width) // 2), max(0, picture_width - width))
    for top in (box[1] - height - gap, box[1] + gap, box[3] + gap):
        if top < 0 or top + height > picture_height:
            continue
        place = (left, top, left + width, top + height)
        if not any(
            place[0] < other[2] and other[0] < place[2] and place[1] < other[3] and other[1] < place[3]
            for other in taken
        ):
            return place
    return None


@lru_cache(maxsize=256)
def rounded_rectangle(height: int, width: int, radius: int) -> NDArray[np.uint8]:
    """(height, width) uint8 mask, 255 inside a rectangle with rounded, anti-aliased corners. Not to be
    written to.
    """
    oversampling = 4
    mask = np.zeros((height * oversampling, width * oversampling), np.uint8)
    radius = max(1, min(radius, height // 2, width // 2)) * oversampling
    bottom, right = mask.shape
    cv2.rectangle(mask, (radius, 0), (right - radius - 1, bottom), 255, -1)
    cv2.rectangle(mask, (0, radius), (right, bottom - radius - 1), 255, -1)
    for x in (radius, right - radius - 1):
        for y in (radius, bottom - radius - 1):
            cv2.circle(mask, (x, y), radius, 255, -1)
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
