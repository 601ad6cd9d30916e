"""`Recogniser`: gives the road users of a camera their names, as soon as they were seen well enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.instances.database import Instance, InstanceDatabase
from pipeline.instances.descriptor import DESCRIPTOR_LENGTH, describe
from pipeline.scene import Recognition, RoadUser, Scene

__all__ = ["Recogniser", "RecognitionRules"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RecognitionRules:
    """When a road user is recognised.

    Attributes:
        people_score: A person or rider who is less alike than this to everybody known is new.
        vehicle_score: The same for vehicles, which are painted in fewer colours than people dress in.
        views: How many views of a road user are needed before anything is said.
        every_s: Time between two views: neighbouring frames show the same.
        least_height_px: Smaller road users show too little.
        keep_s: A road user whose id was not seen for this long is gone, and begins anew under its id.
        most_views: A known descriptor is the mean of no more than so many views' weight, so that it can change.
    """

    people_score: float = 0.95
    vehicle_score: float = 0.965
    views: int = 4
    every_s: float = 0.15
    least_height_px: int = 28
    keep_s: float = 3.0
    most_views: int = 40


@dataclass(slots=True)
class _Track:
    """What was seen of one road user so far."""

    class_name: str
    total: Floats = field(default_factory=lambda: np.zeros(DESCRIPTOR_LENGTH, np.float32))
    views: int = 0
    viewed_s: float = -np.inf
    seen_s: float = 0.0
    recognition: Recognition | None = None

    @property
    def mean(self) -> Floats:
        return np.asarray(self.total / max(float(np.linalg.norm(self.total)), 1e-6), np.float32)


class Recogniser:
    """Recognises the road users of one camera's scenes, in their order. Called by one thread.

    Ids must be the same from frame to frame (`pipeline.tracking`). Nothing is said of a road user before several views
    of it agree on what it looks like; two road users of one scene never get the same name.

    Args:
        database: Who is known. Left open.
        rules: When somebody is recognised; None for the usual rules.
        clock: Says what time it is, in seconds since 1970.
    """

    def __init__(
        self,
        database: InstanceDatabase,
        rules: RecognitionRules | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._rules = rules or RecognitionRules()
        self._clock = clock
        self._tracks: dict[int, _Track] = {}

    def forget(self) -> None:
        """The next scene does not follow those before it: its ids are other road users'."""
        for track in self._tracks.values():
            self._learn(track)
        self._tracks.clear()

    def recognise(self, scene: Scene) -> Scene:
        """The scene with what is known of who its road users are.

        Raises:
            SinkError: The database cannot be written.
        """
        if not scene.has_signal:
            return scene
        time_s = scene.frame.source_time_s
        self._drop_those_gone(time_s)
        for user in scene.road_users:
            self._look_at(scene, user, time_s)
        for user in scene.road_users:
            track = self._tracks[user.id]
            if track.recognition is None and track.views >= self._rules.views:
                track.recognition = self._decide(track)
        named = tuple(replace(user, recognition=self._tracks[user.id].recognition) for user in scene.road_users)
        return replace(scene, road_users=named)

    def _drop_those_gone(self, time_s: float) -> None:
        gone = [id_ for id_, track in self._tracks.items() if not 0.0 <= time_s - track.seen_s <= self._rules.keep_s]
        for id_ in gone:
            self._learn(self._tracks.pop(id_))

    def _look_at(self, scene: Scene, user: RoadUser, time_s: float) -> None:
        track = self._tracks.get(user.id)
        if track is None:
            track = self._tracks[user.id] = _Track(user.class_name)
        track.seen_s = time_s
        if time_s - track.viewed_s >= self._rules.every_s and self._is_a_good_view(user, scene):
            track.total += describe(scene.frame.image, user)
            track.views += 1
            track.viewed_s = time_s

    def _is_a_good_view(self, user: RoadUser, scene: Scene) -> bool:
        """Large enough, not cut off by the edge of the picture, and seen well."""
        if scene.visibility is not None and scene.visibility.is_low:
            return False
        x1, y1, x2, y2 = user.box_xyxy
        height, width = scene.frame.size_hw
        whole = x1 > 1 and y1 > 1 and x2 < width - 1 and y2 < height - 1
        return whole and y2 - y1 >= self._rules.least_height_px

    def _decide(self, track: _Track) -> Recognition:
        descriptor = track.mean
        taken = {other.recognition.name for other in self._tracks.values() if other.recognition is not None}
        known = [
            one for one in self._database.instances() if one.class_name == track.class_name and one.name not in taken
        ]
        scores = [float(one.descriptor @ descriptor) for one in known]
        best = int(np.argmax(scores)) if scores else -1
        rules = self._rules
        least_score = rules.people_score if track.class_name in {"person", "rider"} else rules.vehicle_score
        if best >= 0 and scores[best] >= least_score:
            return Recognition(known[best].name, min(scores[best], 1.0), is_new=False)
        name = self._database.new_name(track.class_name)
        now_s = self._clock()
        self._database.put(Instance(name, track.class_name, track.views, now_s, now_s, descriptor))
        return Recognition(name, min(max(scores, default=-1.0), 1.0), is_new=True)

    def _learn(self, track: _Track) -> None:
        """Put what was seen of somebody into what is known of it."""
        if track.recognition is None:
            return
        known = self._database.find(track.recognition.name)
        if known is None:  # Somebody had it forgotten meanwhile.
            return
        weight = min(known.views, self._rules.most_views)
        mixed = weight * known.descriptor + track.total
        mixed = np.asarray(mixed / max(float(np.linalg.norm(mixed)), 1e-6), np.float32)
        self._database.put(
            replace(known, views=known.views + track.views, last_seen_unix_s=self._clock(), descriptor=mixed)
        )
