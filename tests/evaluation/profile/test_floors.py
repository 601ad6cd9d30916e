"""What no pipeline can be faster than."""

from __future__ import annotations

import pytest

from engines.artifact import find_model, load_artifact
from engines.factory import open_engine, open_engines
from evaluation.profile.floors import Floor, Slice, measure_engine, shared_floor_ms


def floor(name: str, wall_ms: float, cpu_ms: float) -> Floor:
    return Floor(name, [Slice(0.0, 1.0, (wall_ms,) * 5, cpu_ms)])


@pytest.mark.parametrize(("engine", "decode", "cores", "decodes", "expected"), [
    ((10, 20), (3, 3), 2, 1, 11.5),  # the engine fills both cores: decoding comes on top
    ((10, 10), (3, 3), 2, 1, 10.0),  # it fills one of two: decoding fits beside it
    ((2, 4), (9, 9), 2, 1, 9.0),  # decoding in one thread is what takes longest
    ((10, 20), (3, 3), 2, 4, 16.0),  # four cameras, of which every frame is decoded and one is seen
    ((5, 0.5), (3, 3), 8, 1, 5.0),  # a GPU that nobody computes for
])  # fmt: skip
def test_the_shared_floor(engine: tuple, decode: tuple, cores: int, decodes: float, expected: float):
    assert shared_floor_ms(floor("engine", *engine), floor("decode", *decode), cores, decodes) == expected


def test_an_engine_is_measured_a_picture_not_a_batch():
    with open_engine(load_artifact(find_model("clearway-lite")), size_hw=(48, 80), batch=2, threads=1) as engine:
        part = measure_engine([engine], 0.0)
    assert len(part.frame_ms) >= 5
    span_s = part.ended_s - part.began_s
    assert span_s / 2 < sum(part.frame_ms) * 2 / 1e3 <= span_s
    assert part.cpu_ms > 0


def test_of_engines_side_by_side_each_counts_its_share():
    engines = open_engines(load_artifact(find_model("clearway-lite")), size_hw=(48, 80), threads=2)
    part = measure_engine(engines, 0.0)
    for engine in engines:
        engine.close()
    assert len(engines) == 2
    assert len(part.frame_ms) >= 10
    # Both ran all the time, one of them until the end.
    assert sum(part.frame_ms) / 1e3 <= part.ended_s - part.began_s
