"""Persons, riders and cars: tinted, outlined, standing on a mark, and named."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.overlay.kernels import soften
from pipeline.overlay.lettering import SEMIBOLD, text_width, write
from pipeline.overlay.levels import Coats, TwoTone, draw_levels, in_eights, two_tone_levels
from pipeline.overlay.pen import Pen
from pipeline.overlay.style import DANGER, WHITE, Color, Style, ink_on, instance_color
from pipeline.scene import Picture, RoadUser

__all__ = ["Rectangle", "draw_road_users", "rounded_rectangle"]

_FILL_OPACITY = 0.28
_SUBPIXEL_BITS = 4
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
    taken: Sequence[Rectangle] = (),
) -> list[Rectangle]:
    """Draw all road users into the picture; labels last, of those in the path and then of the largest first, where
    they cover neither another label nor somebody small.

    Args:
        picture: Drawn into.
        road_users: Whom to draw.
        style: Sizes.
        taken: Where no label shall be, xyxy.

    Returns:
        Where the labels are, xyxy, after `taken`.
    """
    for user in road_users:
        color = _color(user)
        _draw_body(picture, user, color, style.line_px)
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


class _Silhouette(NamedTuple):
    """A tinted body whose outline, along the middle of its outermost pixels, stands out from any ground.

    For levels that `soften` makes with a square of that side.
    """

    color: Color
    line_px: int
    side_px: int

    def coats(self) -> Coats:
        inside_px = (np.arange(256) / 255 - 0.5) * self.side_px
        outline = Pen(self.color, 1.2 * self.line_px, 1.0, (0, 0, 0), 1.6 * self.line_px, 0.4)
        return (self.color, _FILL_OPACITY * np.clip(inside_px + 0.5, 0, 1)), *outline.across(np.abs(inside_px - 0.5))


def _draw_body(picture: Picture, user: RoadUser, color: Color, line_px: int) -> None:
    half = 2 * line_px
    left, top = user.box_xyxy[0] - half, user.box_xyxy[1] - half
    levels = soften(user.mask, half, half + left % 2, half + top % 2)  # From an even column and row on.
    draw_levels(picture, levels, left - left % 2, top - top % 2, _Silhouette(color, line_px, 2 * half + 1))


def _draw_foot(picture: Picture, user: RoadUser, color: Color, line_px: int) -> None:
    """A small disc with a ring around it, seen flat as it would lie on the road."""
    radius = min(4.5 * line_px, 0.3 * (user.box_xyxy[2] - user.box_xyxy[0]) + 1)
    # To a quarter of a pixel: nobody sees the rest, and most discs have been drawn before.
    x, y = (round(4 * value) for value in user.foot_px)
    disc = _disc(x % 8, y % 8, round(4 * radius), round(4 * (0.45 * line_px + 0.6)))
    left, top = x // 8 * 2 - disc.shape[1] // 2, y // 8 * 2 - disc.shape[0] // 2
    draw_levels(picture, disc, left, top, TwoTone(WHITE, color))


@lru_cache(maxsize=1024)
def _disc(x: int, y: int, radius: int, ring: int) -> NDArray[np.uint8]:
    """Levels of a disc that lies so far right of the middle and below it, twice as wide as high; all in quarters of a
    pixel.
    """
    columns, rows = (radius + ring + 8) // 16 * 4 + 4, (radius // 2 + ring + 8) // 8 * 2 + 2
    masks = np.zeros((2, 2 * rows, 2 * columns), np.uint8)
    quarter = 1 << (_SUBPIXEL_BITS - 2)
    center = ((4 * columns + x) * quarter, (4 * rows + y) * quarter)
    for mask, extra in zip(masks, (ring, 0), strict=True):
        axes = ((radius + extra) * quarter, round((0.5 * radius + extra) * quarter))
        cv2.ellipse(mask, center, axes, 0, 0, 360, (255,), -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    return two_tone_levels(masks[0], masks[1])


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
    draw_levels(
        picture, _label(text, style.text_px, height, width, padding), x1, y1, TwoTone(color, ink_on(color), 0.9)
    )
    return place


@lru_cache(maxsize=256)
def _label(text: str, size_px: int, height: int, width: int, padding: int) -> NDArray[np.uint8]:
    """(height, width) levels: letters on their plate."""
    letters = np.zeros((height, width), np.uint8)
    write(letters, text, padding, round(height * 0.5 + size_px * 0.345), size_px, SEMIBOLD)
    return in_eights(two_tone_levels(rounded_rectangle(height, width, height // 4), letters))


def _free_place(
    box: Rectangle, width: int, height: int, gap: int, size_hw: tuple[int, int], taken: list[Rectangle]
) -> Rectangle | None:
    """Where a label goes: above its box, else inside at the top, else below; None where all that is taken."""
    picture_height, picture_width = size_hw
    # Even places: labels tremble less with their boxes, and are drawn faster (`in_eights`).
    left = min(max(0, (box[0] + box[2] - width) // 2), max(0, picture_width - width)) // 2 * 2
    for top in ((box[1] - height - gap) // 2 * 2, (box[1] + gap) // 2 * 2, (box[3] + gap + 1) // 2 * 2):
        if top < 0 or top + height > picture_height:
            continue
        place = (left, top, left + width, top + height)
        if not _covers_any(place, taken):
            return place
    return None


def _covers_any(place: Rectangle, taken: list[Rectangle]) -> bool:
    left, top, right, bottom = place
    return any(left < x2 and x1 < right and top < y2 and y1 < bottom for x1, y1, x2, y2 in taken)


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
