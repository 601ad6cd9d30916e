"""What is drawn where there is no picture of the road: plainly no road, so that nobody takes it for one."""

from __future__ import annotations

import numpy as np

from pipeline.overlay.lettering import SEMIBOLD, draw_text, text_width
from pipeline.overlay.style import AMBER, GREY, WHITE, Style
from pipeline.scene import BgrImage, CameraView

__all__ = ["draw_slate"]

_DARK, _DARKER = (30, 24, 20), (38, 31, 26)
_LONGEST_LETTERS = 96
_TITLES = {
    "connecting": "Connecting",
    "live": "",
    "stale": "No signal",
    "reconnecting": "No signal",
    "failed": "Camera failed",
}


def draw_slate(camera: CameraView, height: int, width: int, style: Style) -> BgrImage:
    """A fresh (H, W, 3) picture that names the camera, says that it gives no picture, for how long, and why."""
    picture = np.full((height, width, 3), _DARK, np.uint8)
    # Slanted stripes move no eye and look like nothing that a camera sees.
    rows, columns = np.ogrid[:height, :width]
    stripe = max(8, width // 24)
    picture[((rows + columns) // stripe) % 2 == 0] = _DARKER
    if not style.with_text:
        return picture
    size, title_size = max(10, round(style.text_px * 1.15)), round(style.headline_px * 1.8)
    silent = "" if np.isnan(camera.age_ms) else f"last picture {camera.age_ms / 1e3:.1f} s ago"
    lines = [
        (camera.name, size, WHITE, SEMIBOLD),
        (_TITLES[camera.state], title_size, AMBER, SEMIBOLD),
        (silent, size, WHITE, SEMIBOLD),
        (_fitting(camera.reason, size, width), size, GREY, SEMIBOLD),
    ]
    lines = [line for line in lines if line[0]]
    baseline = height // 2 - sum(round(1.5 * line[1]) for line in lines) // 2
    for text, text_size, color, weight in lines:
        baseline += round(1.5 * text_size)
        draw_text(picture, text, (width - text_width(text, text_size, weight)) // 2, baseline, text_size, color, weight)
    return picture


def _fitting(text: str, size_px: int, width: int) -> str:
    """The text, cut to what fits into nine tenths of the picture."""
    text = text[:_LONGEST_LETTERS]
    while len(text) > 1 and text_width(text, size_px, SEMIBOLD) > 0.9 * width:
        text = f"{text[:-4]}..." if text.endswith("...") else f"{text[:-3]}..."
    return text
