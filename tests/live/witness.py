"""A live run with a witness: an output that reads in the pixels of every scene when its picture was really taken."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from engines.artifact import find_model, load_artifact
from engines.base import Engine, Tensor
from engines.factory import open_engine
from pipeline.cameras.address import CameraConfig, name_cameras
from pipeline.cameras.camera import Camera, CameraLimits
from pipeline.cameras.mailbox import Mailbox
from pipeline.live.runner import LiveOutput, LiveRunner
from pipeline.perception import Perception
from pipeline.scene import BgrImage, Scene
from pipeline.timings import StageTimings
from tests.live import clock
from tests.live.processes import wait_until

__all__ = ["Sighting", "SlowEngine", "Witness", "WitnessedRun"]

_NETWORK_INPUT_HW = (96, 160)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One scene, as the witness saw it.

    Attributes:
        at_s: `time.monotonic()` when it was published.
        camera: Which camera's.
        state: What the scene says of its camera.
        picture_ms: What the clock in the picture says; None where none can be read.
        true_age_ms: `at_s` less that; NaN where none can be read.
        said_age_ms: The age that the scene claims.
        size_hw: (H, W) of the picture.
        claims: Whether anything is claimed of the road: a drivable pixel or a road user.
    """

    at_s: float
    camera: str
    state: str
    picture_ms: int | None
    true_age_ms: float
    said_age_ms: float
    size_hw: tuple[int, int]
    claims: bool


class Witness:
    """The output. Everything is noted at the moment of the call; nothing is kept of the pictures."""

    name = "witness"
    needs_overlay = False
    on_main_thread = False

    def __init__(self) -> None:
        self.sightings: list[Sighting] = []

    def write(self, scene: Scene, picture: BgrImage | None) -> None:
        at_s, at_ms = time.monotonic(), clock.now_ms()
        assert scene.camera is not None
        shown_ms = clock.read(scene.frame.image) if scene.has_signal else None
        self.sightings.append(
            Sighting(
                at_s=at_s,
                camera=scene.camera.name,
                state=scene.camera.state,
                picture_ms=shown_ms,
                true_age_ms=float("nan") if shown_ms is None else float(at_ms - shown_ms),
                said_age_ms=scene.camera.age_ms,
                size_hw=scene.frame.size_hw,
                claims=scene.drivable.area_px > 0 or bool(scene.road_users) or bool(scene.drivable.mask.any()),
            )
        )

    def close(self) -> None:
        pass

    def live(self, camera: str | None = None, since_s: float = 0.0) -> list[Sighting]:
        """Those of pictures."""
        return [
            seen
            for seen in self.sightings
            if seen.state == "live" and seen.at_s >= since_s and camera in {None, seen.camera}
        ]

    def states(self, camera: str | None = None) -> list[str]:
        """What the camera was said to do, one after the other, repetitions left out."""
        said = [seen.state for seen in self.sightings if camera in {None, seen.camera}]
        return [state for state, _ in itertools.groupby(said)]

    def invented(self) -> list[Sighting]:
        """Scenes that show what no camera saw at that moment: unreadable, seen before, or claims without a picture."""
        wrong, last_ms = [], dict[str, int]()
        for seen in self.sightings:
            if seen.state != "live":
                if seen.claims:
                    wrong.append(seen)
                continue
            if seen.picture_ms is None or seen.picture_ms <= last_ms.get(seen.camera, -1):
                wrong.append(seen)
                continue
            last_ms[seen.camera] = seen.picture_ms
        return wrong

    def true_age_ms(self, quantile: float, since_s: float = 0.0) -> float:
        """A quantile of the true ages."""
        return float(np.nanquantile([seen.true_age_ms for seen in self.live(since_s=since_s)], quantile))


class SlowEngine:
    """A real engine, slowed down."""

    def __init__(self, engine: Engine, delay_s: float) -> None:
        self._engine, self._delay_s = engine, delay_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def infer(self, tensor: Tensor) -> Tensor:
        time.sleep(self._delay_s)
        return self._engine.infer(tensor)


class WitnessedRun:
    """A live run in this process, with the shipped network at a small input.

    Args:
        uris: The cameras.
        transport: How RTSP comes.
        engine_delay_s: How much slower than it is the engine is to be.
        limits: As of `launch.py live`.
        max_age_s: Likewise.
        witness: Another than the usual one.
    """

    def __init__(
        self,
        uris: Sequence[str],
        *,
        transport: Literal["tcp", "udp"] = "tcp",
        engine_delay_s: float = 0.0,
        limits: CameraLimits | None = None,
        max_age_s: float = 1.0,
        witness: Witness | None = None,
    ) -> None:
        self.witness = witness or Witness()
        self.timings = StageTimings()
        self._engine_delay_s = engine_delay_s
        cameras = name_cameras([CameraConfig(uri, transport=transport) for uri in uris])
        mailbox, started_s = Mailbox([camera.name for camera in cameras]), time.monotonic()
        self.runner = LiveRunner(
            [Camera(camera, mailbox, self.timings, started_s, limits) for camera in cameras],
            mailbox,
            self._open,
            [LiveOutput(self.witness)],
            self.timings,
            started_s=started_s,
            max_age_s=max_age_s,
        )
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _open(self, size_hw: tuple[int, int], cameras: int) -> Perception:
        artifact = load_artifact(find_model("clearway-lite"))
        engine: Engine = open_engine(artifact, size_hw=_NETWORK_INPUT_HW, batch=cameras, threads=1)
        return Perception(SlowEngine(engine, self._engine_delay_s), self.timings)

    def _run(self) -> None:
        try:
            self.runner.run()
        except BaseException as error:
            self.error = error

    @property
    def engine_ms(self) -> float:
        """The 99th percentile of what one scene takes once its frame was taken."""
        return sum(self.timings.quantile_ms(stage, 0.99) for stage in ("preprocess", "engine", "postprocess"))

    def wait_until(self, condition: Callable[[], bool], limit_s: float, what: str) -> float:
        """Wait for something to become true while the run goes on; the seconds that it took."""

        def met() -> bool:
            assert self._thread.is_alive(), f"the run ended: {self.error!r}"
            return condition()

        return wait_until(met, limit_s, what)

    def wait_for_pictures(self, count: int, limit_s: float = 40.0, since_s: float = 0.0) -> float:
        """Wait for so many scenes of pictures from a moment on; the seconds from that moment to the first."""
        what = f"{count} pictures"
        self.wait_until(lambda: len(self.witness.live(since_s=since_s)) >= count, limit_s, what)
        return self.witness.live(since_s=since_s)[0].at_s - since_s

    def see_recovery(self, back_s: float, camera: str | None = None) -> float:
        """Wait for pictures that were taken after the stream came back; the seconds from then to the first."""
        back_ms = back_s * 1e3

        def after() -> list[Sighting]:
            return [seen for seen in self.witness.live(camera, since_s=back_s) if (seen.picture_ms or 0) >= back_ms]

        self.wait_until(lambda: len(after()) >= 5, 40, "pictures after the stream came back")
        return after()[0].at_s - back_s

    def end(self) -> None:
        """End the run; it must leave no thread behind. May be called more than once."""
        self.runner.stop()
        self._thread.join(30)
        assert not self._thread.is_alive(), "the run does not end"
        left = [thread.name for thread in threading.enumerate() if thread.name.startswith("clearway-")]
        assert not left, f"threads left behind: {left}"
        if self.error is not None:
            raise self.error
