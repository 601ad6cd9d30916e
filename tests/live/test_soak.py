"""Hours with two cameras, one of which fails every now and then: nothing grows older, nothing grows.

Two runs watch the same cameras: the command line with everything that it can do at once (page, recording in a ring,
scenes), for what it holds of the machine; and one with a witness, for the true age of what it publishes.

    CLEARWAY_SOAK_S=3600 python -m pytest tests/live/test_soak.py -m slow
"""

from __future__ import annotations

import itertools
import os
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from pipeline.scene import BgrImage, Scene
from tests.live.cameras import MjpegCamera, RtspCamera, free_port
from tests.live.processes import LiveProcess, Usage, wait_until
from tests.live.witness import Sighting, Witness, WitnessedRun

DURATION_S = float(os.environ.get("CLEARWAY_SOAK_S", "3600"))
FAULT_EVERY_S = 60.0
GOP = ("--gop", "10", "--rate", "10")


class PatientWitness(Witness):
    """A witness of hours: keeps the ages, and of the sightings only the newest and those that are wrong."""

    _KEPT = 200

    def __init__(self) -> None:
        super().__init__()
        self.ages_ms: list[float] = []
        self.ages_at_s: list[float] = []
        self.wrong: list[Sighting] = []
        self._last_ms: dict[str, int] = {}

    def write(self, scene: Scene, picture: BgrImage | None) -> None:
        super().write(scene, picture)
        seen = self.sightings[-1]
        if seen.state != "live":
            self.wrong += [seen] if seen.claims else []
        elif seen.picture_ms is None or seen.picture_ms <= self._last_ms.get(seen.camera, -1):
            self.wrong.append(seen)
        else:
            self._last_ms[seen.camera] = seen.picture_ms
            self.ages_ms.append(seen.true_age_ms)
            self.ages_at_s.append(seen.at_s)
        del self.sightings[: -self._KEPT]

    def invented(self) -> list[Sighting]:
        return self.wrong


def faults(camera: RtspCamera) -> dict[str, Callable[[], None]]:
    """What happens to the camera, again and again; each ends with the camera back."""

    def off(seconds: float, *options: str) -> None:
        camera.kill()
        time.sleep(seconds)
        camera.start(*options)

    def frozen() -> None:
        camera.tell("freeze")
        time.sleep(3.0)
        camera.tell("thaw")

    def half_open() -> None:
        camera.pause()
        time.sleep(4.0)
        camera.resume()

    return {
        "off for 1 s": lambda: off(1.0),
        "frozen for 3 s": frozen,
        "half open for 4 s": half_open,
        "back as H.265": lambda: off(1.0, "--codec", "h265", "--size", "640x360", *GOP),
        "dropped": lambda: camera.tell("drop") and None,
        "off for 10 s": lambda: off(10.0),
        "back as H.264": lambda: off(1.0, "--codec", "h264", "--size", "320x240", *GOP),
    }


@pytest.mark.slow
def test_an_hour(
    rtsp_camera: Callable[..., RtspCamera],
    mjpeg_camera: Callable[..., MjpegCamera],
    witnessed: Callable[..., WitnessedRun],
    tmp_path: Path,
    note: Callable[..., None],
):
    failing, steady = rtsp_camera("--size", "320x240", *GOP), mjpeg_camera(size_hw=(240, 320), rate_hz=10)
    uris = [f"failing={failing.uri}", f"steady={steady.uri}"]
    page = f"127.0.0.1:{free_port()}"
    options = ("--web", page, "--record", tmp_path / "drive", "--record-minutes", 2, "--size", "96x160", "--threads", 1)
    witness = PatientWitness()
    watched = witnessed(*uris, witness=witness)
    usages: list[Usage] = []
    recoveries_s: dict[str, list[float]] = {}
    with LiveProcess(uris, *options, "--quiet", folder=tmp_path) as run:
        wait_until(lambda: run.scenes_path.exists() and run.scenes_path.stat().st_size > 5000, 300, "the first scenes")
        watched.wait_for_pictures(10, limit_s=300)  # a first run compiles
        began_s = time.monotonic()
        for name, fault in itertools.cycle(faults(failing).items()):
            fault_s = time.monotonic()
            fault()
            recoveries_s.setdefault(name, []).append(watched.see_recovery(time.monotonic(), "failing"))
            while time.monotonic() < fault_s + FAULT_EVERY_S:
                assert run.runs, run.messages
                urllib.request.urlopen(f"http://{page}/healthz", timeout=10).read()
                usages.append(run.usage)
                time.sleep(5.0)
            if time.monotonic() - began_s > DURATION_S:
                break
        quarter = max(1, (len(usages) - len(usages) // 10) // 4)
        first, last = usages[len(usages) // 10 :][:quarter], usages[-quarter:]
        ages_ms, at_s = np.array(witness.ages_ms), np.array(witness.ages_at_s) - began_s
        parts = [ages_ms[(at_s >= start) & (at_s < start + 600)] for start in range(0, int(at_s[-1]), 600)]
        recorded = [path.stat().st_size for path in (tmp_path / "drive").rglob("*.mp4")]
        note(
            duration_s=round(time.monotonic() - began_s),
            scenes=len(ages_ms),
            invented=len(witness.wrong),
            true_age_ms={f"p{q}": float(np.percentile(ages_ms, q).round(1)) for q in (50, 95, 99)},
            true_age_p99_ms_by_ten_minutes=[float(np.percentile(part, 99).round(1)) for part in parts if part.size],
            recoveries_s={name: [round(value, 2) for value in values] for name, values in recoveries_s.items()},
            rss_mib=[round(median(usage.rss_mib for usage in part), 1) for part in (first, last)],
            threads=[median(usage.threads for usage in part) for part in (first, last)],
            descriptors=[median(usage.descriptors for usage in part) for part in (first, last)],
            recorded_mb=round(sum(recorded) / 1e6, 1),
        )
        assert run.end() == 130, run.messages
    figures = run.figures
    note(command_line={key: figures[key] for key in ("frames", "dropped", "reconnects", "age_ms", "outputs")})
    assert witness.wrong == []
    assert watched.witness.states("steady") == ["live"]
    assert median(usage.rss_mib for usage in last) < median(usage.rss_mib for usage in first) + 30
    assert median(usage.threads for usage in last) <= median(usage.threads for usage in first) + 1
    assert median(usage.descriptors for usage in last) <= median(usage.descriptors for usage in first) + 3
    assert all(reason == "" for reason in figures["outputs"].values()), figures["outputs"]
    assert np.median(parts[-1]) < np.median(parts[0]) + 100
