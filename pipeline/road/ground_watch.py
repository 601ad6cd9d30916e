"""`GroundWatch`: a calibrated view of the road, its pitch kept right while the vehicle drives."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import GroundRefiner, RoadView, VanishingPointFinder
from pipeline.postprocess.pieces import OCCLUDER
from pipeline.postprocess.road_users import KINDS
from pipeline.scene import Frame, Scene

__all__ = ["GroundWatch"]

_PERIOD_S = 0.09
"""How often one looks: the pitch changes with loads and tyres, not within a second."""

_GAP_S = 0.5
"""After so long what is seen has little to do with what was: one begins anew."""

_MOVERS = tuple(name for name, kind in KINDS.items() if kind != OCCLUDER)
_COARSE_PX = 320


class GroundWatch:
    """Looks every now and then where the vehicle goes, and takes the view after it. Owned by one thread.

    Args:
        view: As calibrated, at the size of the frames.
    """

    def __init__(self, view: RoadView) -> None:
        self.size_hw = view.camera.size_hw
        self._finder = VanishingPointFinder(view.camera)
        self._refiner = GroundRefiner(view)
        self._looked_s = -math.inf

    @property
    def view(self) -> RoadView:
        """The view as it is believed to be now; the same object for as long as nothing changes."""
        return self._refiner.view

    def look(self, scene: Scene) -> None:
        """Take in a scene, unless the last one is only just past."""
        since_s = scene.frame.source_time_s - self._looked_s
        if 0.0 <= since_s < _PERIOD_S:
            return
        if not 0.0 <= since_s < _GAP_S:
            self._finder = VanishingPointFinder(self.view.camera)
        self._looked_s = scene.frame.source_time_s
        self._refiner.observe(self._finder.look(_luma(scene.frame), _movers(scene)))


def _luma(frame: Frame) -> NDArray[np.uint8]:
    """(H, W) brightness: the decoder's own where there is one."""
    if frame.planes is not None:
        return frame.planes.y
    return np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), np.uint8)


def _movers(scene: Scene) -> NDArray[np.uint8]:
    """(h, w) not 0 on road users, which move by themselves; coarse, since points are followed in a small picture."""
    class_ids = scene.segmentation.class_ids
    moves = np.zeros(256, np.uint8)
    moves[[index for index, entry in enumerate(scene.segmentation.classes) if entry.name in _MOVERS]] = 255
    step = max(1, class_ids.shape[1] // _COARSE_PX)
    return np.asarray(moves[class_ids[::step, ::step]], np.uint8)
