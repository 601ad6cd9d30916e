"""What a live run can say of itself at any moment: for the page, the metrics, the terminal and the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipeline.scene import CameraState
from pipeline.timings import TimingsTable

__all__ = ["DROP_CAUSES", "CameraStatus", "EngineState", "LiveStatus"]

DROP_CAUSES = ("late", "superseded", "corrupt", "engine", "starting")
"""Why a frame did not become a scene.

``late``        older than the run allows when its turn came
``superseded``  a newer one came before the engine was free
``corrupt``     the decoder could not restore it, or it builds upon one that it could not
``engine``      the engine failed on it, or had been given up
``starting``    it came before the engine was open
"""

EngineState = Literal["opening", "running", "restarting", "degraded"]
"""What the engine is doing. ``degraded``: it failed twice; pictures are shown, nothing is claimed of the road."""


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """One camera.

    Attributes:
        name: As in scenes.
        address: Where it is, without passwords.
        state: What it is doing.
        reason: Why there is no signal, in words; "" while there is one.
        size_hw: (H, W) of its frames, or None before the first.
        received: Frames that it gave.
        scenes: Frames that became scenes.
        fps: Scenes a second over the last second or so.
        dropped: Frames that did not, by cause (`DROP_CAUSES`).
        reconnects: Connections made anew after the first.
        age_ms: From capture to result, ``{"p50", "p95", "p99"}`` in milliseconds; empty before the first scene.
        last_age_ms: That of the newest scene; NaN before the first.
        silent_s: Seconds since the last frame was captured; NaN before the first.
    """

    name: str
    address: str
    state: CameraState
    reason: str
    size_hw: tuple[int, int] | None
    received: int
    scenes: int
    fps: float
    dropped: dict[str, int]
    reconnects: int
    age_ms: dict[str, float]
    last_age_ms: float
    silent_s: float


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """The whole run.

    Attributes:
        elapsed_s: Since the engine was open; 0 before.
        model: Name of the model.
        engine: Description of the engine; "" until it is open.
        engine_state: What it is doing.
        engine_failure: What it said when it failed last; "" if it never did.
        cameras: Every camera, in the order they were given.
        outputs: Output → "" while it works, else why it does not any more.
        output_drops: Output → scenes that it was too slow for.
        timings_ms: Quantiles by stage.
    """

    elapsed_s: float
    model: str
    engine: str
    engine_state: EngineState
    engine_failure: str
    cameras: tuple[CameraStatus, ...]
    outputs: dict[str, str] = field(default_factory=dict)
    output_drops: dict[str, int] = field(default_factory=dict)
    timings_ms: TimingsTable = field(default_factory=dict)
