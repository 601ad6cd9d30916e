"""The road and everything that stands still, tinted; and the line where the clear road ends."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.classes import SegmentationClass
from engines.color import ColorMatrix
from pipeline.overlay import style
from pipeline.overlay.kernels import smooth_boundary
from pipeline.overlay.pen import Layer, Pen, draw_lines
from pipeline.overlay.tint import tint_scene
from pipeline.overlay.yuv_color import yuv_color
from pipeline.overlay.yuv_tint import lay_road, tint_classes
from pipeline.scene import BgrImage, DrivableArea, Picture, Scene, YuvImage

__all__ = ["GroundPainter", "words"]

_TINTS = {"sidewalk": 0.12, "terrain": 0.14, "traffic sign": 0.25, "traffic light": 0.25, "fence": 0.14, "pole": 0.14}
"""Class → opacity of its tint. Classes that are not named stay clear: the eye should rest on the road."""

_ROAD_OPACITY_NEAR, _ROAD_OPACITY_FAR = 0.36, 0.52
_SOFTEST_PX = 7
"""How far the road's edges fade out to each side at most, on planes: `lay_road` counts in bytes."""

_HORIZON = 0.45
"""Where the road's gradient begins, as a share of the height. Fixed, so that it does not flicker with the mask."""


class GroundPainter:
    """Draws the road for pictures of one size and one set of classes."""

    def __init__(self, classes: tuple[SegmentationClass, ...], height: int, width: int, line_px: int) -> None:
        shares, colors = _class_tables(classes)
        self._tinted = np.flatnonzero(shares).astype(np.uint8)
        self._class_keep = 256 - shares.astype(np.uint16)
        class_tint = colors.astype(np.uint16) * shares[:, None]
        self._class_tint = np.tile(class_tint, (1, width))
        self._yuv = _YuvColors(classes, height)
        self._road_color, self._road_opacity = _road_gradient(height)
        self._softness_px = 2 * line_px + 1
        self._step = max(2, width // 213)
        self._road_mask = np.empty((height, width), np.uint8)
        self._pen = Pen(style.BOUNDARY_CORE, 1.1 * line_px, 0.95, style.BOUNDARY_GLOW, 4.0 * line_px, 0.85)

    def draw(self, scene: Scene) -> BgrImage:
        """A fresh (H, W, 3) picture: the frame, its classes tinted, its road laid over with colour."""
        image, class_ids = scene.frame.image, np.ascontiguousarray(scene.segmentation.class_ids)
        picture = np.empty_like(image)
        height = len(image)
        # A mask of 0 and 255 with edges as soft as the outlines are wide.
        np.multiply(scene.drivable.mask, 255, out=self._road_mask)
        cv2.blur(self._road_mask, (self._softness_px, self._softness_px), dst=self._road_mask)
        tint_scene(
            image.reshape(height, -1),
            class_ids,
            self._road_mask,
            words(class_ids),
            words(self._road_mask),
            self._class_keep,
            self._class_tint,
            self._road_color,
            self._road_opacity,
            picture.reshape(height, -1),
        )
        return picture

    def draw_planes(self, scene: Scene, picture: YuvImage) -> None:
        """The same into planes, from those of the frame, which must have some; into every pixel."""
        planes, drawn, colors = scene.frame.planes, picture.planes, self._yuv.of(picture)
        assert planes is not None
        class_ids, road = np.ascontiguousarray(scene.segmentation.class_ids), scene.drivable.mask
        tint_classes(
            _whole_rows(planes.y),
            _whole_rows(planes.u),
            _whole_rows(planes.v),
            class_ids,
            self._tinted,
            colors.class_share,
            colors.class_color,
            drawn.y,
            drawn.u,
            drawn.v,
        )
        half = min(self._softness_px // 2, _SOFTEST_PX)
        lay_road(drawn.y, drawn.u, drawn.v, road, half, colors.road_color, self._road_opacity)

    def draw_boundary(self, picture: Picture, drivable: DrivableArea, layer: Layer) -> None:
        """Draw the free-space boundary as a glowing line into the picture."""
        rows = smooth_boundary(drivable.free_space_px, self._step, 2 * self._step)
        points = np.stack((np.arange(rows.size, dtype=np.float32) * self._step + 0.5, rows), axis=1)
        draw_lines(picture, [points], self._pen, layer)


def _whole_rows(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same rows with the padding that decoders leave behind each, so that nothing lies between them: one
    compilation serves all widths, and nothing is copied.
    """
    stride, step = plane.strides
    if plane.flags.c_contiguous or step != 1 or stride < plane.shape[1] or stride % 2:
        return np.ascontiguousarray(plane)
    return np.lib.stride_tricks.as_strided(plane, (len(plane), stride), (stride, 1))


def words(plane: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(H, W / 8) eight pixels at a time, without a copy; (H, 0) where rows do not consist of whole eights."""
    height, width = plane.shape
    return plane.view(np.uint64) if width % 8 == 0 else np.empty((height, 0), np.uint64)


class _YuvTables(NamedTuple):
    """Colours of the ground as (Y, U, V).

    Attributes:
        class_share: (256,) how much of each class's colour comes over the picture, of 256.
        class_color: (256, 3).
        road_color: (H, 3) per row.
    """

    class_share: NDArray[np.uint8]
    class_color: NDArray[np.uint8]
    road_color: NDArray[np.uint16]


class _YuvColors:
    """Those tables, for the colours of the video that is drawn upon."""

    def __init__(self, classes: tuple[SegmentationClass, ...], height: int) -> None:
        self._classes, self._height = classes, height
        self._key: tuple[ColorMatrix, bool] | None = None
        self._tables: _YuvTables

    def of(self, picture: YuvImage) -> _YuvTables:
        key = picture.matrix, picture.full_range
        if self._key != key:
            road = [
                yuv_color((blue, green, red), *key) for blue, green, red in _road_gradient(self._height)[0].tolist()
            ]
            self._key, self._tables = key, _YuvTables(*_class_tables(self._classes, *key), np.array(road, np.uint16))
        return self._tables


def _class_tables(
    classes: tuple[SegmentationClass, ...], matrix: ColorMatrix | None = None, full_range: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(256,) how much of each class's colour comes over the picture, of 256, and (256, 3) that colour, BGR or in that
    matrix's (Y, U, V).

    Values that no class has, such as void where nobody looked at the frame, leave it as it is.
    """
    shares, colors = np.zeros(256, np.uint8), np.zeros((256, 3), np.uint8)
    for index, entry in enumerate(classes):
        shares[index] = round(_TINTS.get(entry.name, 0.0) * 256)
        red, green, blue = entry.color_rgb
        bgr = blue, green, red
        colors[index] = bgr if matrix is None else yuv_color(bgr, matrix, full_range)
    return shares, colors


def _road_gradient(height: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """(H, 3) colour and (H,) opacity of 256 of the road per row, from far to near."""
    rows = np.arange(height) / max(1, height - 1)
    nearness = np.clip((rows - _HORIZON) / (1 - _HORIZON), 0, 1)
    far, near = np.array(style.ROAD_FAR), np.array(style.ROAD_NEAR)
    color = far + (near - far) * nearness[:, None]
    opacity = 256 * (_ROAD_OPACITY_FAR + (_ROAD_OPACITY_NEAR - _ROAD_OPACITY_FAR) * nearness)
    return color.round().astype(np.uint16), opacity.round().astype(np.uint16)
