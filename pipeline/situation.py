"""What a scene means: in metres, over time, and how far it can be trusted. One `Situation` for each camera.

    pixels ─▶ visibility ─▶ road in metres ─▶ road users followed ─▶ recognised ─▶ alerts ─▶ road withdrawn
                            of calibrated     whereabouts, speed,    only if       with       where nobody
                            cameras           the vehicle's motion   asked         evidence   can tell it

All of it is a pure function of one camera's frames and their times: the same frames give the same scenes.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np

from pipeline.alerts import AlertDesk
from pipeline.errors import ConfigError
from pipeline.geometry import RoadView
from pipeline.instances import InstanceDatabase, Recogniser
from pipeline.metric import ClearDistance, FreeSpace, RoadScene, VehicleMotion
from pipeline.road import clear_distance, find_corridor, free_space
from pipeline.road.corridor_filter import CorridorFilter
from pipeline.road.ground_watch import GroundWatch
from pipeline.scene import DrivableArea, Frame, Scene
from pipeline.tracking import Tracking
from pipeline.visibility import VisibilityJudge

__all__ = ["Situation", "SituationSettings"]


@dataclass(frozen=True)
class SituationSettings:
    """What is known beforehand of one camera, and what is wanted of its scenes.

    Attributes:
        view: The calibrated camera over the road, at the size of its calibration; None: nothing is told in metres,
            unless frames bring their own view.
        corridor_width_m: Width of the strip of road that the vehicle needs.
        bonnet_m: How far ahead the own bonnet hides the road.
        follows: Whether frames follow one another in time; else each stands for itself.
        database: Known road users, or None to recognise nobody. Left open.
    """

    view: RoadView | None = None
    corridor_width_m: float = 2.2
    bonnet_m: float = 0.0
    follows: bool = True
    database: InstanceDatabase | None = None


class Situation:
    """Makes richer scenes of one camera's scenes. Owned and called by one thread.

    Args:
        settings: What is known beforehand.
    """

    def __init__(self, settings: SituationSettings) -> None:
        self._settings = settings
        self._memory = _Memory(settings)
        self._recogniser = Recogniser(settings.database) if settings.database is not None else None

    def understand(self, scene: Scene) -> Scene:
        """The scene with all that is known of it.

        Raises:
            ConfigError: The first picture has another shape than those that the camera was calibrated with.
            SinkError: The database of road users cannot be written.
        """
        if not self._settings.follows:
            self._memory = _Memory(self._settings)
        memory = self._memory if scene.frame.leaves_trace else copy.deepcopy(self._memory)
        scene = memory.take_in(scene)
        if self._recogniser is not None and scene.frame.leaves_trace:
            scene = self._recogniser.recognise(scene)
        return _withdrawn(scene) if scene.visibility is not None and scene.visibility.is_low else scene

    def forget(self) -> None:
        """The next scene does not follow those before it. What was learnt of road users is kept in the database."""
        self._memory = _Memory(self._settings)
        if self._recogniser is not None:
            self._recogniser.forget()


class _Memory:
    """Everything that a scene leaves behind for the next one."""

    def __init__(self, settings: SituationSettings) -> None:
        self._settings = settings
        self._ground: GroundWatch | None = None
        self._judge = VisibilityJudge()
        self._corridor = CorridorFilter()
        self._motion: VehicleMotion | None = None
        self._tracking = Tracking()
        self._desk = AlertDesk()

    def __deepcopy__(self, memo: dict[int, object]) -> _Memory:
        other = _Memory(self._settings)  # What is known beforehand is nobody's to change.
        for name in ("_ground", "_judge", "_corridor", "_motion", "_tracking", "_desk"):
            setattr(other, name, copy.deepcopy(getattr(self, name), memo))
        return other

    def take_in(self, scene: Scene) -> Scene:
        scene = replace(scene, visibility=self._judge.judge(scene))
        view = self._view(scene.frame)
        road = self._measure(scene, view) if view is not None else None
        if road is not None or self._settings.follows:
            scene = self._tracking.follow(scene, road)
        self._motion = scene.road.motion if scene.road is not None else None
        scene = replace(scene, alerts=self._desk.raise_for(scene))
        if self._ground is not None and self._settings.follows:
            self._ground.look(scene)
        return scene

    def _view(self, frame: Frame) -> RoadView | None:
        """The camera over the road as it is taken to be now."""
        calibrated = self._settings.view
        if calibrated is None:
            return frame.view
        if self._ground is None:
            try:
                self._ground = GroundWatch(calibrated.scaled_to(frame.size_hw))
            except ConfigError as error:
                raise ConfigError(f"{frame.camera}: {error}" if frame.camera else str(error)) from error
        elif self._ground.size_hw != frame.size_hw:
            # It changed in the middle of a run: no reason to end that, but where the shape changed nobody knows how.
            try:
                self._ground = GroundWatch(calibrated.scaled_to(frame.size_hw))
            except ConfigError:
                return None
        return self._ground.view

    def _measure(self, scene: Scene, view: RoadView) -> RoadScene:
        found = find_corridor(scene, view, self._settings.corridor_width_m / 2.0)
        corridor = self._corridor.update(found, scene.frame.source_time_s, self._motion)
        clear = clear_distance(scene, view, corridor, from_m=self._settings.bonnet_m)
        return RoadScene(view, corridor, clear, free_space(scene, view))


def _withdrawn(scene: Scene) -> Scene:
    """The scene with no road claimed: its mask cannot be trusted. Who was seen stays: a false alarm does less harm."""
    height, width = scene.frame.size_hw
    nowhere = DrivableArea(np.zeros((height, width), np.uint8), 0, np.full(width, -1, np.int32))
    road = scene.road
    if road is not None:
        count = len(road.free_space.columns_px)
        nothing = np.full(count, np.nan)
        unseen = FreeSpace(road.free_space.columns_px, np.full((count, 2), np.nan), np.zeros(count), nothing)
        road = replace(road, clear=ClearDistance(0.0, 0.0, is_open=False, place_px=None), free_space=unseen)
    return replace(scene, drivable=nowhere, road=road)
