"""What a scene means: in metres, over time, and how far it can be trusted. One `Situation` for each camera.

    pixels ─▶ visibility ─▶ road in metres ─▶ road users followed ─▶ recognised ─▶ alerts
              may withdraw    needs a          whereabouts, speed,     only if       with their evidence
              the road        calibrated       the vehicle's motion    asked
                              camera

All of it is a pure function of the frames that one camera gave and of their times: the same frames give the same scenes.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from pipeline.geometry import GroundRefiner, RoadView, VanishingPointFinder
from pipeline.metric import RoadScene
from pipeline.postprocess.pieces import OCCLUDER
from pipeline.postprocess.road_users import KINDS
from pipeline.road import clear_distance, find_corridor, free_space
from pipeline.scene import Frame, Scene

__all__ = ["CORRIDOR_WIDTH_M", "Situation", "SituationSettings"]

CORRIDOR_WIDTH_M = 2.2
"""What a car of 1.8 m needs, with 0.2 m to each side."""

_REFINE_PERIOD_S, _REFINE_GAP_S = 0.09, 0.5
"""How often the way of the vehicle is looked at, since the pitch changes with loads and tyres, not within a second; and
after what silence one begins anew."""

_MOVERS = tuple(name for name, kind in KINDS.items() if kind != OCCLUDER)
_COARSE_PX = 320


@dataclass(frozen=True)
class SituationSettings:
    """What is known beforehand of one camera, and what is wanted of its scenes.

    Attributes:
        view: The calibrated camera over the road, at the size of its calibration; None: nothing is told in metres,
            unless frames bring their own view.
        corridor_width_m: Width of the strip of road that the vehicle needs.
        bonnet_m: How far ahead the own bonnet hides the road.
        follow: Whether frames follow one another in time; else each stands for itself.
        instances: Database of known road users, or None to recognise nobody.
    """

    view: RoadView | None = None
    corridor_width_m: float = CORRIDOR_WIDTH_M
    bonnet_m: float = 0.0
    follow: bool = True
    instances: Path | None = None


class Situation:
    """Makes richer scenes of one camera's scenes. Owned and called by one thread.

    Args:
        settings: What is known beforehand.
    """

    def __init__(self, settings: SituationSettings) -> None:
        self._settings = settings
        self._memory = _Memory()

    def understand(self, scene: Scene) -> Scene:
        """The scene with all that is known of it.

        Raises:
            ConfigError: The first picture has another shape than those that the camera was calibrated with.
        """
        if not self._settings.follow:
            self.forget()
        if scene.frame.leaves_trace:
            return self._memory.take_in(scene, self._settings)
        return copy.deepcopy(self._memory).take_in(scene, self._settings)

    def forget(self) -> None:
        """The next scene does not follow those before it."""
        self._memory = _Memory()

    def close(self) -> None:
        """Close the database, if there is one. May be called more than once."""


class _Memory:
    """Everything that a scene leaves behind for the next one."""

    def __init__(self) -> None:
        self._ground: _Ground | None = None

    def take_in(self, scene: Scene, settings: SituationSettings) -> Scene:
        view = self._view(scene.frame, settings)
        if view is not None:
            scene = dataclasses.replace(scene, road=_road(scene, view, settings))
        if self._ground is not None and settings.follow:
            self._ground.refine(scene)
        return scene

    def _view(self, frame: Frame, settings: SituationSettings) -> RoadView | None:
        """The camera over the road as it is taken to be now."""
        if settings.view is None:
            return frame.view
        if self._ground is None:
            self._ground = _Ground(settings.view.scaled_to(frame.size_hw))
        elif self._ground.size_hw != frame.size_hw:
            # It changed in the middle of a run: no reason to end that, but where the shape changed nobody knows how.
            try:
                self._ground = _Ground(settings.view.scaled_to(frame.size_hw))
            except ConfigError:
                return None
        return self._ground.view


class _Ground:
    """The view of the road, its pitch kept right while driving.

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
        return self._refiner.view

    def refine(self, scene: Scene) -> None:
        """Look where the vehicle goes, every now and then."""
        since_s = scene.frame.source_time_s - self._looked_s
        if 0.0 <= since_s < _REFINE_PERIOD_S:
            return
        if not 0.0 <= since_s < _REFINE_GAP_S:  # What is seen now is too far from what was.
            self._finder = VanishingPointFinder(self.view.camera)
        self._looked_s = scene.frame.source_time_s
        self._refiner.observe(self._finder.look(_luma(scene.frame), _movers(scene)))


def _road(scene: Scene, view: RoadView, settings: SituationSettings) -> RoadScene:
    corridor = find_corridor(scene, view, settings.corridor_width_m / 2.0)
    clear = clear_distance(scene, view, corridor, from_m=settings.bonnet_m)
    return RoadScene(view, corridor, clear, free_space(scene, view))


def _luma(frame: Frame) -> NDArray[np.uint8]:
    """(H, W) brightness: the decoder's own where there is one."""
    return frame.planes.y if frame.planes is not None else np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY))


def _movers(scene: Scene) -> NDArray[np.uint8]:
    """(h, w) about `_COARSE_PX` wide, not 0 on road users: they move by themselves."""
    class_ids, classes = scene.segmentation.class_ids, scene.segmentation.classes
    moves = np.zeros(256, np.uint8)
    moves[[index for index, entry in enumerate(classes) if entry.name in _MOVERS]] = 255
    step = max(1, class_ids.shape[1] // _COARSE_PX)
    return np.asarray(moves[class_ids[::step, ::step]])
