"""The pitch of the camera, kept right while driving: loads, tyres and a knocked mirror change it by a little.

On average over a drive the way of the vehicle is parallel to the road, so the vanishing point of its motion lies on the
horizon. Single observations swing with springs and bumps by some tenths of a degree; the refiner follows their middle,
slowly, and never far from what `calibrate ground` found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pipeline.geometry.road_view import RoadView
from pipeline.geometry.vanishing_point import Heading

__all__ = ["GroundRefiner", "RefinerRules"]


@dataclass(frozen=True, slots=True)
class RefinerRules:
    """How fast and how far the refiner goes.

    Attributes:
        bound_rad: Farthest from the calibrated pitch.
        gain: Share of an observation's difference that is made up for at once; its inverse is the memory, in
            observations.
        clip_rad: A larger difference counts as this one (Huber 1964): bumps.
        gate_rad: A still larger one counts as nothing (Hampel 1974): mistakes.
        step_rad: The view is renewed when the pitch has moved by this; until then it stays the same object.
    """

    bound_rad: float = math.radians(1.5)
    gain: float = 0.02
    clip_rad: float = math.radians(0.5)
    gate_rad: float = math.radians(3.0)
    step_rad: float = math.radians(0.01)


class GroundRefiner:
    """Moves the pitch of a view of the road, within bounds.

    Args:
        view: As calibrated.
        rules: How fast and how far.

    Attributes:
        view: The view of the road as it is believed to be now. Its covariance is that of the calibration.
        observations: How many were made use of.
    """

    def __init__(self, view: RoadView, rules: RefinerRules | None = None) -> None:
        self.view = view
        self.observations = 0
        self._rules = rules or RefinerRules()
        self._calibrated_rad = view.pose.pitch_rad
        self._offset_rad = 0.0

    @property
    def offset_rad(self) -> float:
        """How far the pitch has been moved from the calibrated one."""
        return self._offset_rad

    def observe(self, heading: Heading | None) -> RoadView:
        """Take in where the vehicle went.

        Args:
            heading: From `VanishingPointFinder.look`; None, as while the vehicle stands, changes nothing.
        """
        return self.view if heading is None else self.observe_pitch(heading.pitch_rad(self.view.pose.roll_rad))

    def observe_pitch(self, pitch_rad: float) -> RoadView:
        """Take in one observation of the pitch; NaN changes nothing."""
        rules = self._rules
        off = pitch_rad - self._calibrated_rad - self._offset_rad
        if not abs(off) <= rules.gate_rad:
            return self.view
        self.observations += 1
        moved = self._offset_rad + rules.gain * min(max(off, -rules.clip_rad), rules.clip_rad)
        self._offset_rad = min(max(moved, -rules.bound_rad), rules.bound_rad)
        pitch = self._calibrated_rad + self._offset_rad
        if abs(pitch - self.view.pose.pitch_rad) >= rules.step_rad:
            self.view = replace(self.view, pose=replace(self.view.pose, pitch_rad=pitch))
        return self.view
