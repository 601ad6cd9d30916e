"""What the run hands over: the newest picture of every camera. One slot each; nothing waits here."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.errors import SinkError
from pipeline.metric import ClearDistance
from pipeline.scene import Alert, BgrImage, RoadUser, Scene, Visibility

__all__ = ["CameraFeed", "Feeds", "PageSink", "Shown"]

_SAMPLE_PERIOD_S = 0.25
_SAMPLES = 240
"""A minute of ages, for a page that is opened later."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A scene, as far as the page shows it.

    Attributes:
        sequence: Counts the scenes of its camera, from 1.
        picture: (H, W, 3) uint8 BGR overlay, read-only; None where it was not drawn because nobody looked.
        source_time_s: The scene's own time; never goes back.
        written_s: `time.monotonic()` when it was handed over.
        has_signal: Whether it is a picture of the road as it is.
        age_ms: From capture to result; NaN where there is none.
        alerts: What deserves attention.
        road_users: How many, by class.
        road_share: Part of the picture that is drivable, in [0, 1].
        clear: How far the road ahead is clear; None where nothing is known in metres.
        in_path: Who is in the vehicle's path, the nearest first.
        visibility: How far the mask can be trusted; None where that was not judged.
    """

    sequence: int
    picture: BgrImage | None = field(repr=False)
    source_time_s: float
    written_s: float
    has_signal: bool
    age_ms: float
    alerts: tuple[Alert, ...]
    road_users: dict[str, int]
    road_share: float
    clear: ClearDistance | None = None
    in_path: tuple[RoadUser, ...] = ()
    visibility: Visibility | None = None


class CameraFeed:
    """The newest scene of one camera. Safe to use from several threads."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._newest: Shown | None = None
        self._changed = threading.Condition()
        self._ages_ms: deque[float | None] = deque(maxlen=_SAMPLES)
        self._sampled_s = 0.0
        self._peak_ms: float | None = None

    @property
    def newest(self) -> Shown | None:
        """The newest scene; None before the first."""
        return self._newest

    @property
    def ages_ms(self) -> list[float | None]:
        """The largest age of every quarter of a second, oldest first, a minute at most; None without a signal."""
        with self._changed:
            return list(self._ages_ms)

    def put(self, scene: Scene, picture: BgrImage | None) -> None:
        """Replace what is here."""
        now_s = time.monotonic()
        age_ms = scene.camera.age_ms if scene.camera is not None else (now_s - scene.frame.captured_at_s) * 1e3
        with self._changed:
            self._newest = Shown(
                sequence=self._newest.sequence + 1 if self._newest is not None else 1,
                picture=picture,
                source_time_s=scene.frame.source_time_s,
                written_s=now_s,
                has_signal=scene.has_signal,
                age_ms=age_ms,
                alerts=scene.alerts,
                road_users=dict(Counter(user.class_name for user in scene.road_users)),
                road_share=scene.drivable.area_px / max(1, scene.drivable.mask.size),
                clear=scene.road.clear if scene.road is not None else None,
                in_path=_in_path(scene),
                visibility=scene.visibility,
            )
            self._sample(now_s, age_ms if scene.has_signal else None)
            self._changed.notify_all()

    def wait_newer(self, sequence: int, limit_s: float) -> Shown | None:
        """The newest scene with a picture, if it is newer than that one or becomes so within the limit, else None."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_newer(sequence), limit_s)
            return self._newest if self._is_newer(sequence) else None

    def _is_newer(self, sequence: int) -> bool:
        newest = self._newest
        return newest is not None and newest.sequence > sequence and newest.picture is not None

    def _sample(self, now_s: float, age_ms: float | None) -> None:
        if age_ms is not None:
            self._peak_ms = max(self._peak_ms or 0.0, age_ms)
        if now_s - self._sampled_s >= _SAMPLE_PERIOD_S:
            self._ages_ms.append(self._peak_ms)
            self._sampled_s, self._peak_ms = now_s, None


def _in_path(scene: Scene) -> tuple[RoadUser, ...]:
    found = [(user.whereabouts.distance_m, user.id, user) for user in scene.road_users
             if user.whereabouts is not None and user.whereabouts.in_path]  # fmt: skip
    return tuple(user for _, _, user in sorted(found, key=lambda entry: entry[:2]))


class Feeds:
    """The feeds of all cameras, and whether anybody looks at them. Safe to use from several threads."""

    def __init__(self) -> None:
        self._by_name: dict[str, CameraFeed] = {}
        self._wanted_until_s = 0.0
        self._started_s = time.monotonic()
        self.on_new: Callable[[str], None] = lambda _: None
        """Called with the camera's name by whoever handed a scene over; must not block."""

    def __getitem__(self, camera: str) -> CameraFeed:
        feed = self._by_name.get(camera)
        return feed if feed is not None else self._by_name.setdefault(camera, CameraFeed(camera))

    def __contains__(self, camera: str) -> bool:
        return camera in self._by_name

    @property
    def names(self) -> list[str]:
        """Every camera that gave a scene, or was asked for."""
        return list(self._by_name)

    @property
    def wanted(self) -> bool:
        """Whether somebody looks."""
        return time.monotonic() < self._wanted_until_s

    def want(self, for_s: float) -> None:
        """Somebody looks, for that long at least."""
        self._wanted_until_s = max(self._wanted_until_s, time.monotonic() + for_s)

    @property
    def silent_s(self) -> float:
        """Seconds since any camera's last scene, or since the beginning."""
        times_s = [shown.written_s for feed in list(self._by_name.values()) if (shown := feed.newest) is not None]
        return time.monotonic() - max(times_s, default=self._started_s)


class PageSink:
    """The page as an output. `write` swaps a reference and takes some microseconds, whatever the viewers do."""

    name = "page"
    needs_overlay = True
    on_main_thread = False

    def __init__(self, feeds: Feeds, on_scene: Callable[[str, Scene], None] = lambda *_: None) -> None:
        self._feeds = feeds
        self._on_scene = on_scene
        self._failure = ""

    @property
    def wants_picture(self) -> bool:
        """Whether somebody looks at the moment: a painter may leave a picture undrawn otherwise."""
        return self._feeds.wanted

    def write(self, scene: Scene, picture: BgrImage | None) -> None:
        """Show one scene.

        Raises:
            SinkError: The server has failed.
        """
        if self._failure:
            raise SinkError(f"the page is not served any more: {self._failure}")
        camera = scene.camera.name if scene.camera is not None else scene.frame.camera
        self._feeds[camera].put(scene, picture)
        self._on_scene(camera, scene)
        self._feeds.on_new(camera)

    def fail(self, reason: str) -> None:
        """The server has failed: let the run know with the next scene."""
        self._failure = reason

    def close(self) -> None:
        """Nothing to finish: the server outlives its sink, so that the page can show how the run ended."""
