"""Figures as a profile gives them."""

from __future__ import annotations

import numpy as np

from evaluation.profile.figures import ProfileFigures, SegmentFigures, Settings
from evaluation.profile.machine import Machine


def a_profile(noise: float = 0.01) -> ProfileFigures:
    """Eight segments of some 12 ms a frame, of which the engine is 10."""
    rng = np.random.default_rng(3)
    row = {"p50": 10.0, "p95": 11.0, "p99": 12.0, "max": 15.0, "mean": 10.1}
    segments = [
        SegmentFigures(
            frames=100,
            frame_ms=12.0 * (1 + noise * rng.standard_normal()),
            engine_ms=10.0 * (1 + noise * rng.standard_normal()),
            decode_ms=3.0,
            cpu_ms=22.0 * (1 + noise * rng.standard_normal()),
            memory_mb=400.0,
        )
        for _ in range(8)
    ]
    return ProfileFigures(
        fps=83.3,
        bare_engine_fps=100.0,
        efficiency=0.83,
        efficiency_range=[0.8, 0.85],
        efficiency_against_floors=0.9,
        cpu_efficiency=0.9,
        floors_ms={"decode": 3.0, "engine": 10.0, "sum": 13.0, "shared": 11.0},
        floors_cpu_ms={"decode": 3.0, "engine": 19.0},
        timings_ms={"engine": row},
        cpu_ms={"engine": 10.0, "others": 10.0, "total": 22.0},
        frame_ms=row,
        age_ms=row,
        dropped={},
        decodes_per_scene=1.0,
        offered_fps=None,
        memory_mb=400.0,
        memory_growth_mb=0.0,
        throttled=None,
        throttling_reasons=[],
        throttling_sources=0,
        cpu_utilisation=0.9,
        other_load=0.0,
        gpu_utilisation={},
        clocks_mhz={},
        temperatures_c={},
        power_w={},
        timers_share=0.0005,
        warm_up={"seconds": 2.0, "frames": 30},
        settings=Settings("drive.mp4", "h264", "clearway-lite", "OpenVINO", [360, 640], 1, 0),
        machine=Machine("Processor", 2, 2, 16.0, "Linux"),
        versions={},
        measured_at="2026-11-25T00:00:00+00:00",
        segments=segments,
        frames_ms=[12.0] * 800,
    )
