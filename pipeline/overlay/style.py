"""Colours and sizes of the overlay. Colours are BGR, 0 to 255."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Color", "Style", "ink_on", "instance_color"]

Color = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
GREY: Color = (196, 190, 184)
PANEL: Color = (26, 20, 16)
AMBER: Color = (40, 170, 255)
DANGER: Color = (64, 58, 242)
ROAD_NEAR: Color = (158, 214, 28)
ROAD_FAR: Color = (214, 190, 22)
BOUNDARY_GLOW: Color = (190, 255, 60)
BOUNDARY_CORE: Color = (238, 255, 226)

_HUES = {"person": (345.0, 22.0), "rider": (38.0, 12.0), "car": (232.0, 26.0)}
"""Class → its hue in degrees and how far its instances spread around it. The road keeps the greens for itself."""

_GOLDEN_RATIO = 0.618034


@dataclass(frozen=True, slots=True)
class Style:
    """Sizes in pixels that suit one height of picture: right at 720 rows, readable at 240, not tiny at 2160.

    Attributes:
        text_px: Size of labels and of the panel's text.
        headline_px: Size of the panel's figures.
        line_px: Width of outlines.
        margin_px: Distance of the panel from the edge, and padding inside it.
        with_text: Whether the picture is large enough to be written on at all.
        compact: Whether it is so small that the panel keeps to the figures that matter most.
    """

    text_px: int
    headline_px: int
    line_px: int
    margin_px: int
    with_text: bool
    compact: bool

    @classmethod
    def for_size(cls, height: int, width: int) -> Style:
        """The style of a picture of height x width pixels."""
        extent = min(height, width * 3 / 4)
        text_px = max(9, round(extent * 0.0225))
        return cls(
            text_px=text_px,
            headline_px=round(text_px * 1.65),
            line_px=max(1, round(extent / 420)),
            margin_px=max(4, round(text_px * 0.75)),
            with_text=height >= 120 and width >= 160,
            compact=extent < 300,
        )


@lru_cache(maxsize=1024)
def instance_color(class_name: str, instance_id: int) -> Color:
    """A colour for one road user: its class shows in the hue, its id in the shade."""
    hue, spread = _HUES.get(class_name, (290.0, 40.0))
    phase = (instance_id * _GOLDEN_RATIO) % 1.0
    lightness = (0.64 if class_name == "car" else 0.57) + 0.1 * ((instance_id * 2 * _GOLDEN_RATIO) % 1.0)
    red, green, blue = colorsys.hls_to_rgb((hue + spread * (2 * phase - 1)) % 360 / 360, lightness, 0.92)
    return round(blue * 255), round(green * 255), round(red * 255)


def ink_on(color: Color) -> Color:
    """Black or white, whichever reads better on a colour (by BT.709 luma)."""
    blue, green, red = color
    return (20, 16, 12) if 0.0722 * blue + 0.7152 * green + 0.2126 * red > 140 else WHITE
