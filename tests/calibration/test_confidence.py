"""`calibrate confidence`: from labelled pictures to the sidecar."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.confidence import fit_confidence
from engines.artifact import MODELS_FOLDER, find_model, load_artifact
from engines.base import ConfidenceFit
from evaluation.reliability import Reliability
from pipeline.cli import main
from pipeline.errors import ConfigError
from pipeline.postprocess.confidence import ConfidenceScale

DRIVE = ["--data", "synthetic://drive?frames=4&size=160x96&seed=2", "--format", "synthetic", "--threads", "1"]


def pixels_of(fit: ConfidenceFit, seed: int, count: int = 200_000) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of a model whose true sureness is known: (confidence that it says, whether it is right)."""
    noise = np.random.default_rng(seed)
    said = 1 / (1 + np.exp(-noise.normal(2.0, 1.5, (1, count))))
    truly = said.astype(np.float32)
    ConfidenceScale(fit).apply(truly)
    return said.astype(np.float32), noise.random((1, count)) < truly


def reliability_of(said: np.ndarray, right: np.ndarray) -> Reliability:
    reliability = Reliability()
    reliability.add(said, right, np.ones_like(right))
    return reliability


@settings(max_examples=15)
@given(st.floats(0.5, 2.0), st.floats(-1.0, 1.0), st.integers(0, 100))
def test_a_model_of_known_sureness_is_found_out(scale: float, shift: float, seed: int):
    said, right = pixels_of(ConfidenceFit(scale, shift), seed)
    fit = fit_confidence(reliability_of(said, right))
    assert fit.scale == pytest.approx(scale, abs=0.05)
    assert fit.shift == pytest.approx(shift, abs=0.08)


def test_the_fit_removes_the_error_that_the_model_had():
    said, right = pixels_of(ConfidenceFit(0.6, -0.5), seed=1)
    before = reliability_of(said, right)
    ConfidenceScale(fit_confidence(before)).apply(said)
    assert before.expected_error > 0.08
    assert reliability_of(said, right).expected_error < 0.01


def test_what_cannot_be_told_is_refused():
    said, right = pixels_of(ConfidenceFit(), seed=1)
    with pytest.raises(ConfigError, match="only 500 labelled pixels"):
        fit_confidence(reliability_of(said[:, :500], right[:, :500]))
    with pytest.raises(ConfigError, match="all pixels are right"):
        fit_confidence(reliability_of(said, np.ones_like(right)))
    with pytest.raises(ConfigError, match="are these the right labels"):
        fit_confidence(reliability_of(said, np.random.default_rng(1).random(said.shape) > said))


def test_the_command_puts_its_result_into_the_sidecar_and_nothing_else_changes(tmp_path: Path):
    model = tmp_path / "mine.onnx"
    shutil.copy(MODELS_FOLDER / "clearway-lite.onnx", model)
    shutil.copy(MODELS_FOLDER / "clearway-lite.json", model.with_suffix(".json"))
    before = json.loads(model.with_suffix(".json").read_text())
    figures_file = tmp_path / "figures.json"
    arguments = ["calibrate", "confidence", *DRIVE, "--model", str(model), "--json", str(figures_file)]
    assert main(arguments) == 0
    assert json.loads(model.with_suffix(".json").read_text()) == before, "only --write writes"
    assert main([*arguments, "--write"]) == 0
    after = json.loads(model.with_suffix(".json").read_text())
    figures = json.loads(figures_file.read_text())
    assert figures["ece_after"] < figures["ece_before"]
    assert figures["pixels"] == 4 * 160 * 96
    fit = load_artifact(model).confidence
    assert fit is not None
    assert fit.scale == pytest.approx(figures["confidence"]["scale"], abs=1e-4)
    assert {**after, "confidence": None} == {**before, "confidence": None}


def test_a_model_without_a_sidecar_is_told_before_the_long_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    model = tmp_path / "bare.onnx"
    shutil.copy(MODELS_FOLDER / "clearway-lite.onnx", model)
    assert main(["calibrate", "confidence", *DRIVE, "--model", str(model), "--write"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "has no sidecar bare.json" in line


def test_the_shipped_model_says_how_sure_it_is():
    assert load_artifact(find_model("clearway-lite")).confidence == ConfidenceFit(0.9061, -0.3789)
