"""The picture that people look at: the road, who is on it, and the figures, drawn once a frame for all sinks."""

from pipeline.overlay.painter import OverlayPainter
from pipeline.overlay.panel import Hud

__all__ = ["Hud", "OverlayPainter"]
