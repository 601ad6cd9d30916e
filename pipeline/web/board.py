"""What the run says of itself: one document for the page and for programs, and whether it is well."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable
from typing import Any

import anyio.to_thread
import msgspec

from pipeline.live.status import LiveStatus
from pipeline.metric import ClearDistance
from pipeline.web.feed import Feeds, Shown

__all__ = ["SILENCE_LIMIT_S", "StatusBoard", "ailments"]

SILENCE_LIMIT_S = 5.0
"""A run publishes scenes even without a signal, twice a second: after this long without any, it hangs."""

_PERIOD_S = 0.25


def ailments(status: LiveStatus, silent_s: float) -> list[str]:
    """Why the run is not well, in words; empty when it is.

    It is well while at least one camera shows the road as it is and the engine looks at it. A camera without a signal
    is that camera's affair as long as another one works. A run that is still opening its engine is well.

    Args:
        status: What the run says of itself.
        silent_s: Seconds since the last scene of any camera.
    """
    if status.engine_state == "opening":
        return []
    reasons = []
    if status.engine_state == "degraded":
        why = f" ({status.engine_failure})" if status.engine_failure else ""
        reasons.append(f"the engine has failed{why}: pictures are shown, nothing is claimed of the road")
    if status.cameras and all(camera.state != "live" for camera in status.cameras):
        states = "; ".join(
            f"{camera.name} is {camera.state}" + (f" ({camera.reason})" if camera.reason else "")
            for camera in status.cameras
        )
        reasons.append(f"no camera has a signal: {states}")
    if silent_s > SILENCE_LIMIT_S:
        reasons.append(f"no scene has come for more than {SILENCE_LIMIT_S:.0f} s: the run hangs")
    return reasons


class StatusBoard:
    """Asks the run for its status, at most four times a second however many look; lives in the server's loop."""

    def __init__(self, status: Callable[[], LiveStatus], feeds: Feeds, *, can_save: bool) -> None:
        self._status = status
        self._feeds = feeds
        self._can_save = can_save
        self._run = secrets.token_hex(4)
        self._asking = asyncio.Lock()
        self._asked_s = -math.inf
        self._newest: LiveStatus | None = None

    async def status(self) -> LiveStatus:
        """The run's status, not older than a quarter of a second."""
        async with self._asking:
            if self._newest is None or time.monotonic() - self._asked_s >= _PERIOD_S:
                # In a thread: the run may be busy with a lock that it holds for long.
                self._newest = await anyio.to_thread.run_sync(self._status, abandon_on_cancel=True)
                self._asked_s = time.monotonic()
            return self._newest

    async def health(self) -> list[str]:
        """Why the run is not well; empty when it is."""
        return ailments(await self.status(), self._feeds.silent_s)

    async def document(self, *, with_history: bool = False) -> dict[str, Any]:
        """`LiveStatus` for JSON: names and units as there, NaN as null; with the newest scene of every camera.

        Args:
            with_history: Also the ages of the last minute.
        """
        status = await self.status()
        document: dict[str, Any] = _without_nan(msgspec.to_builtins(status))
        document["run"] = self._run
        document["can_save"] = self._can_save
        document["ailments"] = ailments(status, self._feeds.silent_s)
        for camera in document["cameras"]:
            feed = self._feeds[camera["name"]]
            camera["scene"] = scene_facts(feed.newest)
            if with_history:
                camera["ages_ms"] = _without_nan(feed.ages_ms)
        return document


def scene_facts(shown: Shown | None) -> dict[str, Any] | None:
    """What a scene holds, for JSON."""
    if shown is None:
        return None
    facts: dict[str, Any] = _without_nan(
        {
            "sequence": shown.sequence,
            "has_signal": shown.has_signal,
            "age_ms": shown.age_ms,
            "since_ms": (time.monotonic() - shown.written_s) * 1e3,
            "alerts": [
                {"kind": alert.kind, "message": alert.message, "evidence": dict(alert.evidence)}
                for alert in shown.alerts
            ],
            "road_users": shown.road_users,
            "road_share": shown.road_share,
            "clear": _clear_facts(shown.clear),
            "in_path": [
                {"id": user.id, "class": user.class_name, "distance_m": user.whereabouts.distance_m}
                for user in shown.in_path
                if user.whereabouts is not None
            ],
            "visibility": None if shown.visibility is None else msgspec.to_builtins(shown.visibility),
        }
    )
    return facts


def _clear_facts(clear: ClearDistance | None) -> dict[str, Any] | None:
    """How far the road ahead is clear; None where nothing is known in metres. Not seen at all: 0 m, and no place."""
    if clear is None:
        return None
    return {"distance_m": clear.distance_m, "is_open": clear.is_open, "is_seen": clear.is_open or bool(clear.place_px)}


def _without_nan(value: Any) -> Any:
    """JSON knows no NaN; figures to a thousandth."""
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return value
