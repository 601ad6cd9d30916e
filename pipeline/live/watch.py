"""The perception thread of a live run: the newest frames become scenes; where there are none, scenes that say so."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Sequence

from pipeline.cameras.camera import Camera, CameraReport
from pipeline.cameras.mailbox import Mailbox
from pipeline.errors import EngineError
from pipeline.live.blank import UNKNOWN_SIZE_HW, blank_frame, blank_scene
from pipeline.live.ledger import Ledger
from pipeline.live.status import EngineState
from pipeline.perception import Perception
from pipeline.scene import Alert, CameraState, CameraView, Frame, Scene

__all__ = ["OpenPerception", "Watch"]

OpenPerception = Callable[[tuple[int, int], int], Perception]
"""(H, W) of the pictures, number of cameras → a perception. Called in the thread that will own it."""

_FIRST_PICTURE_LIMIT_S = 5.0
"""How long the engine waits to be opened in the shape of the first camera's pictures."""
_TAKE_LIMIT_S = 0.05
_SILENCE_EVERY_S = 0.5


class Watch:
    """Looks at what cameras see, for as long as it is told to.

    An engine that fails is opened anew, once. If it fails again it is given up: pictures go on to be shown, with an
    alert, and nothing is claimed of the road.

    Args:
        cameras: In the order of the user.
        mailbox: Where they leave their frames.
        open_perception: Opens the engine.
        publish: Called with every scene, in this thread; must not block.
        ledger: Where scenes and late frames are counted.
        started_s: `time.monotonic()` of the beginning of the run.
        max_age_s: A frame that is older when its turn comes is dropped.
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        mailbox: Mailbox,
        open_perception: OpenPerception,
        publish: Callable[[Scene], None],
        ledger: Ledger,
        started_s: float,
        max_age_s: float,
    ) -> None:
        self.engine_state: EngineState = "opening"
        self.engine_description = ""
        self.engine_failure = ""
        self.ready_s: float | None = None
        self.last_turn_s = time.monotonic()
        self._cameras = {camera.config.name: camera for camera in cameras}
        self._mailbox = mailbox
        self._open_perception = open_perception
        self._publish = publish
        self._ledger = ledger
        self._started_s = started_s
        self._max_age_s = max_age_s
        self._perception: Perception | None = None
        self._restarted = False
        self._silences: dict[str, tuple[CameraState, float]] = {}

    def run(self, stop: threading.Event, ready: threading.Event) -> None:
        """Open the engine, then look until `stop` is set.

        Raises:
            ClearwayError: The engine cannot be opened at all.
        """
        try:
            self._wait_for_pictures(stop)
            if stop.is_set():
                return
            self._open()
            self._begin()
            ready.set()
            while not stop.is_set():
                self._turn()
        finally:
            self._close()

    def _begin(self) -> None:
        for name in self._cameras:
            self._ledger.count_drop(name, "starting", self._mailbox.superseded(name))
        self.engine_state = "running"
        self.ready_s = time.monotonic()

    def _turn(self) -> None:
        frames = [frame for frame in self._mailbox.take(_TAKE_LIMIT_S) if self._in_time(frame)]
        if frames:
            for scene in self._see(frames):
                self._publish(self._dated(scene))
        seen = {frame.camera for frame in frames}
        for name in self._cameras:
            if name not in seen:  # The last picture before a loss may still be waiting; silence comes after it.
                self._publish_silence(name)
        self.last_turn_s = time.monotonic()

    def _in_time(self, frame: Frame) -> bool:
        if time.monotonic() - frame.captured_at_s <= self._max_age_s:
            return True
        self._ledger.count_drop(frame.camera, "late")
        return False

    # The engine.

    def _wait_for_pictures(self, stop: threading.Event) -> None:
        """The engine's input takes the shape of the pictures: wait a little for them, and say what cameras say."""
        until_s = time.monotonic() + _FIRST_PICTURE_LIMIT_S
        while not stop.is_set() and time.monotonic() < until_s:
            reports = [camera.report() for camera in self._cameras.values()]
            lost = [report.state == "failed" for report in reports]
            # Where all are lost the run is about to end, and an engine would only hold it up.
            if all(report.size_hw or gone for report, gone in zip(reports, lost, strict=True)) and not all(lost):
                return
            for name in self._cameras:
                self._publish_silence(name)
            stop.wait(_TAKE_LIMIT_S)

    def _open(self) -> None:
        sizes = [report.size_hw for report in map(Camera.report, self._cameras.values()) if report.size_hw]
        self._perception = self._open_perception(sizes[0] if sizes else UNKNOWN_SIZE_HW, len(self._cameras))
        for size_hw in {*sizes} or {UNKNOWN_SIZE_HW}:
            self._perception.warm_up(size_hw)
        self.engine_description = self._perception.engine.description

    def _close(self) -> None:
        perception, self._perception = self._perception, None
        if perception is not None:
            perception.close()

    def _see(self, frames: list[Frame]) -> list[Scene]:
        if self._perception is not None:
            try:
                return self._seen(self._perception, frames)
            except EngineError as error:
                self._recover(error)
        return [self._unseen(frame) for frame in frames]

    @staticmethod
    def _seen(perception: Perception, frames: list[Frame]) -> list[Scene]:
        """All frames in as few calls as the engine allows; a graph with a fixed batch may allow one at a time."""
        most = perception.capacity
        batches = [frames[first : first + most] for first in range(0, len(frames), most)]
        return [scene for batch in batches for scene in perception.see_all(batch)]

    def _unseen(self, frame: Frame) -> Scene:
        """A frame that no engine looked at: to be shown, with nothing claimed of it."""
        self._ledger.count_drop(frame.camera, "engine")
        alert = Alert("engine_failed", f"the engine failed: {self.engine_failure}")
        return blank_scene(frame, CameraView(frame.camera, "live", math.nan), alert)

    def _recover(self, error: EngineError) -> None:
        """Open the engine anew after its first failure; give it up after the second."""
        self.engine_failure = str(error)
        again = self.engine_state == "running" and not self._restarted
        self.engine_state = "restarting" if again else "degraded"
        self._close()
        if not again:
            return
        self._restarted = True
        try:
            self._open()
        except EngineError as second:
            self.engine_failure, self.engine_state = str(second), "degraded"
        else:
            self.engine_state = "running"

    # Scenes.

    def _dated(self, scene: Scene) -> Scene:
        """The scene with what it says of its camera, and counted."""
        frame = scene.frame
        age_s = time.monotonic() - frame.captured_at_s
        self._silences.pop(frame.camera, None)
        if scene.camera is None:  # else nothing has looked at it
            self._ledger.count_scene(frame.camera, age_s * 1e3)
        return dataclasses.replace(scene, camera=CameraView(frame.camera, "live", age_s * 1e3, time.time() - age_s))

    def _publish_silence(self, name: str) -> None:
        """Say that a camera gives no picture: when that changes, and twice a second while it lasts."""
        report, now_s = self._cameras[name].report(), time.monotonic()
        if report.state == "live":
            return
        said_state, said_s = self._silences.get(name, ("live", -math.inf))
        if said_state == report.state and now_s - said_s < _SILENCE_EVERY_S:
            return
        self._silences[name] = (report.state, now_s)
        frame = blank_frame(name, report.received, now_s - self._started_s, report.size_hw)
        silent_ms = math.nan if report.last_captured_s is None else (now_s - report.last_captured_s) * 1e3
        view = CameraView(name, report.state, silent_ms, time.time(), report.reason)
        self._publish(blank_scene(frame, view, Alert("no_signal", _silence(name, report))))


def _silence(name: str, report: CameraReport) -> str:
    return f"{name}: no signal ({report.reason})" if report.reason else f"{name}: no signal"
