"""Expected calibration error, counted a second time in the plainest way."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.reliability import Reliability
from pipeline.cli import main


@given(st.integers(0, 10_000), st.integers(1, 3))
def test_it_equals_the_plain_definition(seed: int, pictures: int):
    noise = np.random.default_rng(seed)
    reliability = Reliability()
    everything = []
    for _ in range(pictures):
        confidence = noise.random((5, 40)).astype(np.float32)
        right, counted = noise.random((5, 40)) < confidence**2, noise.random((5, 40)) < 0.9
        reliability.add(confidence, right, counted)
        everything += list(zip(confidence[counted].tolist(), right[counted].tolist(), strict=True))
    error = 0.0
    for number in range(15):
        members = [(said, hit) for said, hit in everything if min(int(said * 15), 14) == number]
        if members:
            said, hits = np.mean(members, axis=0)
            error += len(members) / len(everything) * abs(said - hits)
    assert reliability.expected_error == pytest.approx(error, abs=1e-3)
    assert sum(each.share for each in reliability.bins) == pytest.approx(1.0)


def test_without_pixels_there_is_no_error():
    assert math.isnan(Reliability().expected_error)
    assert Reliability().bins == []


def test_evaluate_tells_it_and_draws_it(tmp_path: Path):
    pytest.importorskip("jinja2", reason="a report needs Jinja2: pip install clearway[report]")
    drive = ["evaluate", "--data", "synthetic://drive?frames=3&size=160x96&seed=2", "--format", "synthetic"]
    file, folder = tmp_path / "figures.json", tmp_path / "report"
    assert main([*drive, "--threads", "1", "--json", str(file), "--report", str(folder)]) == 0
    figures, page = json.loads(file.read_text()), (folder / "index.html").read_text()
    assert 0 < figures["ece"] < 0.2
    assert f"on average over pixels: {figures['ece']:.4f}" in page
    assert len(re.findall("<circle ", page)) == len(figures["reliability"])
