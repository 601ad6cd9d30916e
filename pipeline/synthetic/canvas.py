"""What every drawing kernel is handed: where to draw, from where it is seen, and in what light.

They are named tuples because numba compiles those as plain arguments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["EMPTY_M", "Canvas", "Color", "Ink", "Light", "Textures", "View"]

Color = tuple[float, float, float]
"""Blue, green, red."""

EMPTY_M = 1e6
"""Depth of a pixel where nothing stands: finite, because kernels with fast arithmetic must not compare infinities."""


class Canvas(NamedTuple):
    """A picture under construction together with its truth.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        class_ids: (H, W) uint8 Cityscapes trainIds.
        instance_ids: (H, W) uint16; 0 where no road user is.
        depth_m: (H, W) float32 along the optical axis; `EMPTY_M` where nothing was drawn yet, and in the sky.
    """

    image: NDArray[np.uint8]
    class_ids: NDArray[np.uint8]
    instance_ids: NDArray[np.uint16]
    depth_m: NDArray[np.float32]

    def band(self, top: int, bottom: int) -> Canvas:
        """Rows top..bottom as a canvas of their own, on the same memory."""
        rows = slice(top, bottom)
        return Canvas(self.image[rows], self.class_ids[rows], self.instance_ids[rows], self.depth_m[rows])


class View(NamedTuple):
    """The camera in the fixed frame of the drive (x along the street, y left, z up, metres).

    Attributes:
        rotation: (3, 3) float64, rows are the camera's right, down and forward axes.
        x: Position of the optical centre.
        y: Same.
        z: Same: its height over the road.
        fx: Focal length in pixels.
        fy: Same.
        cx: Principal point in pixels.
        cy: Same.
    """

    rotation: NDArray[np.float64]
    x: float
    y: float
    z: float
    fx: float
    fy: float
    cx: float
    cy: float


class Light(NamedTuple):
    """Sun, sky and air. Colours are blue, green, red from 0 to 255.

    Attributes:
        sun_x: Unit vector towards the sun in the fixed frame.
        sun_y: Same.
        sun_z: Same.
        slant: sun_x / sun_y.
        rise: sun_z / sun_y.
        sun: Strength of direct sunlight on a surface that faces it.
        ambient: Strength of the light of the sky.
        gain: The tint that light gives to everything.
        sky_high: Colour of the sky high up.
        sky_low: Colour of the sky at the horizon.
        cloud: How much of the sky is clouds, 0 to 1.
        haze: Colour that distance fades to.
        haze_per_m: How fast it does.
        lamps: How bright lamps and lit windows are, 0 by day to 1 at dusk.
    """

    sun_x: float
    sun_y: float
    sun_z: float
    slant: float
    rise: float
    sun: float
    ambient: float
    gain: Color
    sky_high: Color
    sky_low: Color
    cloud: float
    haze: Color
    haze_per_m: float
    lamps: float


class Ink(NamedTuple):
    """What a shape is painted with.

    Attributes:
        color: Its albedo.
        lit: Light on it.
        class_id: Cityscapes trainId of its pixels.
        instance_id: Id of the road user that it belongs to, or 0.
    """

    color: Color
    lit: float
    class_id: int
    instance_id: int


class Textures(NamedTuple):
    """Patterns that are looked up, made once.

    Attributes:
        grain: (L, 256, 256) uint8 noise around 128 that repeats; level l is blurred over 2**l texels.
        cloud: (256, 256) uint8 smooth noise that repeats.
        foliage: (K, L, 128, 128, 2) uint8: brightness and opacity of K tree crowns, blurred over 2**l texels.
    """

    grain: NDArray[np.uint8]
    cloud: NDArray[np.uint8]
    foliage: NDArray[np.uint8]
