"""What the driver, or another program, should know now.

| kind | raised when | raised by |
|---|---|---|
| ``pedestrian_in_path`` | a person or rider is in the vehicle's path, or will be within two seconds | `AlertDesk` |
| ``path_blocked`` | the road ahead is clear for less than the vehicle needs to stop | `AlertDesk` |
| ``low_confidence`` | the mask cannot be trusted (`Visibility.is_low`) | `AlertDesk` |
| ``no_signal`` | a live camera gives no picture | `pipeline.live` |
| ``engine_failed`` | no engine looks at the pictures | `pipeline.live` |

An alert is raised and cleared with hysteresis, in the value and in time. It is counted in seconds of the frames' own
time and not in frames, so a slow camera is as quick as a fast one; and a scene without a signal, or the first after a
gap, raises nothing: what was before is not known to be so now.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.metric import ClearDistance, RoadScene
from pipeline.pedestrians import PedestrianInPath, most_urgent, people_in_path
from pipeline.scene import Alert, Scene, Visibility

__all__ = ["KINDS", "OF_OUR_OWN", "AlertDesk", "AlertRules"]

KINDS = ("pedestrian_in_path", "path_blocked", "low_confidence", "no_signal", "engine_failed")
"""Every kind of alert."""

OF_OUR_OWN = frozenset({"no_signal", "engine_failed", "low_confidence"})
"""Kinds that say what is wrong with us and not what is on the road. They may last for as long as the night."""


@dataclass(frozen=True, slots=True)
class AlertRules:
    """When alerts are raised and cleared.

    Attributes:
        raise_s: How long what it is about must have been seen, on balance, before an alert is raised.
        clear_s: How long it must have been gone before the alert is cleared.
        stale_s: A gap of this length between two frames makes everything before it void.
        entering_s: A pedestrian counts who will be in the path within this time.
        leaving_s: One who counted goes on to count as long as it will be in the path within this time.
        least_confidence: Who is less likely than this to be there at all does not count. Confidence is calibrated: of
            such blobs more than four in five are nobody (`docs/confidence.md`).
        least_confidence_unplaced: The same where nothing is known in metres, so that who is far away counts too.
        farthest_m: Where half a pixel is metres, nobody can be told to be in the path: farther pedestrians do not
            count.
        reaction_s: Until the vehicle brakes.
        braking_mps2: How hard it can be expected to brake: comfortable for most drivers, and kept on wet roads (AASHTO,
            "A Policy on Geometric Design of Highways and Streets", stopping sight distance).
        standing_m: What must be clear in front of a vehicle that stands, from the camera: mostly its own bonnet.
        unknown_speed_m: What must be clear while the speed is not known.
        blocked_until: A blocked path counts as clear again at this many times what is needed.
    """

    raise_s: float = 0.2
    clear_s: float = 0.8
    stale_s: float = 2.0
    entering_s: float = 2.0
    leaving_s: float = 3.0
    least_confidence: float = 0.45
    least_confidence_unplaced: float = 0.6
    farthest_m: float = 50.0
    reaction_s: float = 1.0
    braking_mps2: float = 3.4
    standing_m: float = 4.0
    unknown_speed_m: float = 10.0
    blocked_until: float = 1.25


class AlertDesk:
    """Raises alerts for the scenes of one camera, in their order. Called by one thread.

    Args:
        rules: When; None for the usual ones.
    """

    def __init__(self, rules: AlertRules | None = None) -> None:
        self._rules = rules or AlertRules()
        self._time_s: float | None = None
        self._pedestrian = _Latch(self._rules)
        self._blocked = _Latch(self._rules)

    def forget(self) -> None:
        """The next scene does not follow those before it."""
        self._time_s = None
        self._pedestrian.reset()
        self._blocked.reset()

    def raise_for(self, scene: Scene) -> tuple[Alert, ...]:
        """The alerts of a scene, the most pressing first.

        Args:
            scene: With whereabouts, road and visibility where they are known. Alerts that it already has are kept; they
                come first.
        """
        if not scene.has_signal:
            self.forget()
            return scene.alerts
        step_s = self._step_s(scene.frame.source_time_s)
        found = (
            self._raise_pedestrian(scene, step_s),
            self._raise_blocked(scene, step_s),
            _low_confidence(scene.visibility),
        )
        return (*scene.alerts, *(alert for alert in found if alert is not None))

    def _step_s(self, time_s: float) -> float:
        """Seconds since the scene before; 0 for the first, and after a gap, which makes everything before it void."""
        before_s = self._time_s
        if before_s is not None and not 0.0 <= time_s - before_s <= self._rules.stale_s:
            self.forget()
            before_s = None
        self._time_s = time_s
        return 0.0 if before_s is None else time_s - before_s

    def _raise_pedestrian(self, scene: Scene, step_s: float) -> Alert | None:
        rules = self._rules
        least_confidence = rules.least_confidence if scene.road is not None else rules.least_confidence_unplaced
        people = people_in_path(scene, rules.leaving_s, rules.farthest_m, least_confidence)
        counted = [person for person in people if person.enters_in_s <= rules.entering_s]
        alert = _pedestrian_alert(people) if people else None
        return self._pedestrian.update(bool(counted) or (None if people else False), alert, step_s)

    def _raise_blocked(self, scene: Scene, step_s: float) -> Alert | None:
        if scene.road is None or (scene.visibility is not None and scene.visibility.is_low):
            return self._blocked.update(False, None, step_s)  # Where no mask can be trusted, this one cannot either.
        clear = scene.road.clear
        need_m = _need_m(scene, scene.road, self._rules)
        is_blocked = None
        if clear.distance_m < need_m and not clear.is_open:
            is_blocked = True
        elif clear.distance_m >= need_m * self._rules.blocked_until or clear.is_open:
            is_blocked = False
        return self._blocked.update(is_blocked, _blocked_alert(clear, need_m, scene.road), step_s)


class _Latch:
    """Evidence for one alert, from 0 to 1: it is raised at 1 and cleared at 0, so no single frame does either."""

    def __init__(self, rules: AlertRules) -> None:
        self._raise_s, self._clear_s = rules.raise_s, rules.clear_s
        self.reset()

    def reset(self) -> None:
        """Cleared, with no evidence."""
        self._evidence = 0.0
        self._unseen_s = 0.0
        self._raised = False
        self._newest: Alert | None = None

    def update(self, seen: bool | None, alert: Alert | None, step_s: float) -> Alert | None:
        """Take in a scene.

        Args:
            seen: Whether it shows what the alert is about; None: neither clearly so nor clearly not.
            alert: What would be said of it.
            step_s: Seconds since the scene before.

        Returns:
            The alert while it is raised; where this scene does not show it any more, what was last said, and when.
        """
        if seen is not None:
            self._evidence += step_s / self._raise_s if seen else -step_s / self._clear_s
            self._evidence = min(max(self._evidence, 0.0), 1.0)
            self._raised = self._evidence > 0.0 if self._raised else self._evidence >= 1.0
        if seen is not False:
            self._newest, self._unseen_s = alert, 0.0
            return alert if self._raised else None
        self._unseen_s += step_s
        if not self._raised or self._newest is None:
            return None
        said = self._newest
        return Alert(said.kind, f"{said.message}; last seen {self._unseen_s:.1f} s ago", said.evidence)


def _pedestrian_alert(people: list[PedestrianInPath]) -> Alert:
    first = most_urgent(people)
    evidence: dict[str, float] = {"id": first.id, "people": len(people)}
    if math.isfinite(first.enters_in_s):
        evidence["enters_path_in_s"] = round(first.enters_in_s, 2)
    if first.distance_m is not None:
        evidence["distance_m"] = round(first.distance_m, 2)
    if first.time_to_reach_s is not None:
        evidence["time_to_reach_s"] = round(first.time_to_reach_s, 2)
    return Alert("pedestrian_in_path", _pedestrian_message(first, len(people)), evidence)


def _pedestrian_message(first: PedestrianInPath, count: int) -> str:
    where = "in the path" if first.enters_in_s <= 0 else f"enters the path in {first.enters_in_s:.1f} s"
    parts = [f"{first.class_name} {first.id} {where}"]
    parts.append("distance unknown" if first.distance_m is None else f"{first.distance_m:.0f} m ahead")
    if first.time_to_reach_s is not None:
        parts.append(f"reached in {first.time_to_reach_s:.1f} s")
    if count > 1:
        parts.append(f"and {count - 1} more")
    return ", ".join(parts)


def _need_m(scene: Scene, road: RoadScene, rules: AlertRules) -> float:
    """What must be clear ahead to stop in time behind whoever is there.

    ``v t + v² / 2a``, less the ``u² / 2a`` that a road user ahead needs who drives at u himself (Shalev-Shwartz et al.,
    "On a formal model of safe and scalable self-driving cars", 2017, with equal brakes for both).
    """
    if road.motion is None:
        return rules.unknown_speed_m
    speed, theirs = max(road.motion.speed_mps, 0.0), _speed_of_what_is_ahead(scene, road.clear)
    stopping_m = (speed**2 - min(theirs, speed) ** 2) / (2.0 * rules.braking_mps2)
    return rules.standing_m + speed * rules.reaction_s + stopping_m


def _speed_of_what_is_ahead(scene: Scene, clear: ClearDistance) -> float:
    """Forward speed of the road user at whom the clear road ends; 0 where it ends at none, or his is not known."""
    for user in scene.road_users:
        where = user.whereabouts
        if where is None or where.velocity_mps is None or not where.in_path:
            continue
        if abs(where.distance_m - clear.distance_m) <= max(2.0, 2.0 * where.distance_std_m):
            return max(where.velocity_mps[0], 0.0)
    return 0.0


def _blocked_alert(clear: ClearDistance, need_m: float, road: RoadScene) -> Alert:
    evidence = {"clear_m": round(clear.distance_m, 2), "need_m": round(need_m, 2)}
    if road.motion is None:
        reason = "at unknown speed"
    else:
        evidence["speed_mps"] = round(road.motion.speed_mps, 2)
        reason = f"at {3.6 * road.motion.speed_mps:.0f} km/h"
    if clear.place_px is None:
        return Alert(
            "path_blocked", f"the road right ahead cannot be seen; {need_m:.0f} m are needed {reason}", evidence
        )
    return Alert("path_blocked", f"clear for {clear.distance_m:.0f} m, {need_m:.0f} m are needed {reason}", evidence)


def _low_confidence(visibility: Visibility | None) -> Alert | None:
    """No latch of its own: `Visibility.is_low` already has its hysteresis."""
    if visibility is None or not visibility.is_low:
        return None
    causes = ", ".join(visibility.causes) or "unsure mask"
    message = f"the road cannot be told: {causes}; {visibility.mask_confidence:.0%} sure of it"
    return Alert("low_confidence", message, {"mask_confidence": round(visibility.mask_confidence, 3)})
