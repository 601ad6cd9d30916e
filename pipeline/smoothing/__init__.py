"""Temporal smoothing: classes that stay what they were unless the picture says otherwise.

A network sees every frame anew, so what it is unsure of changes its class from frame to frame. A `Smoother` remembers:
it blends a frame's logits with those of the frames before, moved along with the picture, and lets a pixel change its
class only when the new one leads clearly. It is causal: it waits for nothing.
"""

from pipeline.smoothing.motion import Grey, GreyCells
from pipeline.smoothing.smoother import Smoother, SmoothingRules

__all__ = ["Grey", "GreyCells", "Smoother", "SmoothingRules"]
