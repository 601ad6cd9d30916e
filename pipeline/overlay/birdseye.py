"""The road as a bird sees it: an inset in the upper right corner, drawn where the scene is known in metres."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.metric import RoadScene
from pipeline.overlay.corridor import strip_lines
from pipeline.overlay.lettering import REGULAR, draw_text
from pipeline.overlay.pen import Layer, Pen, draw_lines, lay_picture
from pipeline.overlay.road_users import Rectangle, rounded_rectangle
from pipeline.overlay.style import AMBER, DANGER, GREY, PANEL, ROAD_NEAR, WHITE, Color, Style, instance_color
from pipeline.road.occupancy import FREE, OCCUPIED, occupancy_grid
from pipeline.scene import BgrImage, Picture, RoadUser, Scene

__all__ = ["BirdseyePainter"]

_AHEAD_M, _ASIDE_M, _CELL_M = 40.0, 10.0, 0.5
_BEHIND_M = 2.0
"""Room for the vehicle itself."""

_HEIGHT = 0.42
"""Of the picture's."""

_RING_M = 10.0
_BLOCKED: Color = (96, 88, 82)
_PANEL_OPACITY = 0.8
_TICK_S = 1.0
"""A road user's velocity is drawn as its way within so long."""
_SUBPIXEL_BITS = 4
_VEHICLE_LENGTH_M, _VEHICLE_WIDTH_M = 3.0, 1.6


class BirdseyePainter:
    """Draws the inset into pictures of one size.

    Args:
        style: Sizes.
        height: Of the pictures.
    """

    def __init__(self, style: Style, height: int) -> None:
        self._style = style
        self._px_m = max(2.0, _HEIGHT * height / (_AHEAD_M + _BEHIND_M))
        self._size_hw = (round((_AHEAD_M + _BEHIND_M) * self._px_m), round(2.0 * _ASIDE_M * self._px_m))
        plate = rounded_rectangle(*self._size_hw, style.margin_px)
        self._cover = (plate * _PANEL_OPACITY).round().astype(np.uint8)
        self._layer = Layer(*self._size_hw)
        palette = np.array([PANEL, PANEL, PANEL], np.float64)
        palette[FREE] += 0.62 * (np.array(ROAD_NEAR) - palette[FREE])
        palette[OCCUPIED] = _BLOCKED
        self._palette = palette.round().astype(np.uint8)

    def place(self, picture: Picture, scene: Scene) -> Rectangle | None:
        """Where the inset lies, xyxy; None where the scene knows nothing in metres, or where there is no room."""
        (height, width), margin = self._size_hw, self._style.margin_px
        if scene.road is None or not self._style.with_text or picture.shape[1] < 3 * (width + margin):
            return None
        left = picture.shape[1] - margin - width
        return left, margin, left + width, margin + height

    def draw(self, picture: Picture, scene: Scene) -> None:
        """Draw what the scene knows in metres, if it has a place."""
        road, place = scene.road, self.place(picture, scene)
        if road is None or place is None:
            return
        inset = self._draw_cells(scene, road)
        self._draw_rings(inset)
        self._draw_strip(inset, road)
        for user in sorted(scene.road_users, key=lambda user: user.area_px):
            self._draw_user(inset, user)
        self._draw_vehicle(inset)
        lay_picture(picture, inset, self._cover, *place[:2])

    def _draw_cells(self, scene: Scene, road: RoadScene) -> BgrImage:
        grid = occupancy_grid(scene, road.view, cell_m=_CELL_M, ahead_m=_AHEAD_M, aside_m=_ASIDE_M)
        inset = np.empty((*self._size_hw, 3), np.uint8)
        inset[:] = PANEL
        rows = round(_AHEAD_M * self._px_m)
        colors = self._palette[grid.cells[::-1]]  # The farthest first.
        cv2.resize(colors, (self._size_hw[1], rows), dst=inset[:rows], interpolation=cv2.INTER_LINEAR)
        return inset

    def _draw_rings(self, inset: BgrImage) -> None:
        """Lines of equal distance ahead, with their figures at the left edge."""
        size = max(8, round(0.72 * self._style.text_px))
        for ring in np.arange(_RING_M, _AHEAD_M, _RING_M).tolist():
            row = round((_AHEAD_M - ring) * self._px_m)
            inset[row] = (3 * inset[row].astype(np.uint16) + np.array(GREY, np.uint16)) // 4
            text = f"{ring:.0f}"
            draw_text(inset, text, 3, row - 2, size, GREY, REGULAR)

    def _draw_strip(self, inset: BgrImage, road: RoadScene) -> None:
        until_m = min(road.clear.distance_m, _AHEAD_M)
        if until_m <= _BEHIND_M:
            return
        edges = strip_lines(road, until_m)
        lines = [self._in_inset(edge) for edge in edges]
        width = 0.7 * self._style.line_px
        draw_lines(inset, lines, Pen(WHITE, width, 0.85), self._layer)
        if not road.clear.is_open and road.clear.distance_m <= _AHEAD_M:
            bar = self._in_inset(np.stack([edge[-1] for edge in edges]))
            draw_lines(inset, [bar], Pen(AMBER, 2.0 * width, 1.0), self._layer)

    def _draw_user(self, inset: BgrImage, user: RoadUser) -> None:
        """A disc where it stands, and a line to where it will be."""
        there = user.whereabouts
        if there is None or not (0.0 < there.position_m[0] < _AHEAD_M and abs(there.position_m[1]) < _ASIDE_M):
            return
        color = DANGER if there.in_path else instance_color(user.class_name, user.id)
        place = np.array(there.position_m)
        if there.velocity_mps is not None and math.hypot(*there.velocity_mps) > 0.5:
            way = np.stack([place, place + _TICK_S * np.array(there.velocity_mps)])
            draw_lines(inset, [self._in_inset(way)], Pen(color, 0.8 * self._style.line_px, 1.0), self._layer)
        unit = 1 << _SUBPIXEL_BITS
        x, y = (round(float(value) * unit) for value in self._in_inset(place[None])[0])
        radius = max(2.0, (0.9 if user.class_name == "car" else 0.6) * self._px_m)
        for extra, fill in ((0.8, WHITE), (0.0, color)):
            cv2.circle(inset, (x, y), round((radius + extra) * unit), fill, -1, cv2.LINE_AA, _SUBPIXEL_BITS)

    def _draw_vehicle(self, inset: BgrImage) -> None:
        half = 0.5 * _VEHICLE_WIDTH_M
        corners = np.array([[0.0, half], [0.0, -half], [-_VEHICLE_LENGTH_M, -half], [-_VEHICLE_LENGTH_M, half]])
        points = (self._in_inset(corners) * (1 << _SUBPIXEL_BITS)).round().astype(np.int32)
        cv2.fillConvexPoly(inset, points, WHITE, cv2.LINE_AA, _SUBPIXEL_BITS)

    def _in_inset(self, points_m: NDArray[np.float64]) -> NDArray[np.float32]:
        """(N, 2) points of the road frame as (x, y) of the inset; may leave it upwards only by a negative y."""
        x = (_ASIDE_M - points_m[:, 1]) * self._px_m
        y = (_AHEAD_M - points_m[:, 0]) * self._px_m
        return np.asarray(np.stack([x, y], axis=1), np.float32)
