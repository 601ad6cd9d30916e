"""A network of one's own is trained, exported and compared by the commands that train ours."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install clearway[train]")
pytest.importorskip("onnx", reason="the export needs onnx: pip install clearway[train]")

from engines.errors import ConfigError  # noqa: E402
from pipeline.cli import main  # noqa: E402
from training import export, family  # noqa: E402
from training.networks import build_network  # noqa: E402

SMALL = '''
"""Three convolutions."""

from torch import nn
from layers import halving

from training.networks import SegmentationNetwork


class Small(SegmentationNetwork):
    """Two halvings and a head; no paper.

    More of it.
    """

    def __init__(self, class_count, *, pretrained=False):
        super().__init__()
        self.layers = nn.Sequential(halving(3, 8), halving(8, 16), nn.Conv2d(16, class_count, 1))

    def forward(self, image):
        return self.layers(image)


class Pooled(Small):
    def forward(self, image):
        return self.layers(image).mean((2, 3))


class Talkative(Small):
    def forward(self, image):
        raise RuntimeError("sizes differ\\nby one\\nor two")


class Strict(Small):
    def __init__(self, class_count):
        super().__init__(class_count)
'''

LAYERS = """
from torch import nn


def halving(inner, outer):
    return nn.Sequential(nn.Conv2d(inner, outer, 3, stride=2, padding=1), nn.BatchNorm2d(outer), nn.ReLU())
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of networks, and one beside it that it needs."""
    (tmp_path / "layers.py").write_text(LAYERS)
    (tmp_path / "small.py").write_text(SMALL)
    return tmp_path / "small.py"


@pytest.mark.data
def test_it_is_trained_exported_calibrated_and_evaluated(file: Path, few_frames: Path, tmp_path: Path) -> None:
    run, frames = tmp_path / "run", few_frames / "camvid" / "train"
    learning = ["train", "--network", f"{file}:Small", "--data", str(few_frames), "--run", str(run)]
    learning += ["--mix", "camvid/train", "--check", "--batch", "1", "--crop", "64x96", "--device", "cpu"]
    assert main([*learning, "--steps", "1"]) == 0
    assert main([*learning, "--steps", "2"]) == 0, "goes on where it was"
    to = ["--name", "small", "--out", str(tmp_path / "models")]
    assert export.main([str(run / "checkpoint.pt"), "--network", f"{file}:Small", *to]) == 0
    model = str(tmp_path / "models" / "small.onnx")
    assert main(["calibrate", "int8", "--images", str(frames / "images"), "--model", model, "--count", "8"]) == 0
    for precision in ("fp32", "int8"):
        options = ["--model", model, "--precision", precision, "--format", "camvid"]
        assert main(["evaluate", "--data", str(frames), *options]) == 0


@pytest.mark.data
def test_it_stands_in_the_table_beside_ours(file: Path, few_frames: Path, tmp_path: Path) -> None:
    options = ["--networks", f"{file}:Small", "--steps", "1", "--data", str(few_frames), "--mix", "camvid/train"]
    options += ["--check", "camvid/train", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "networks.md")]
    assert family.main([*options, "--threads", "1", "--", "--batch", "1", "--crop", "64x96", "--device", "cpu"]) == 0
    page = (tmp_path / "networks.md").read_text()
    assert "| small.py:Small | " in page
    assert "- **small.py:Small**: Two halvings and a head; no paper." in page


@pytest.mark.data
def test_a_checkpoint_alone_never_has_a_file_run(
    file: Path, few_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    learning = ["train", "--network", f"{file}:Small", "--data", str(few_frames), "--run", str(run), "--steps", "1"]
    learning += ["--mix", "camvid/train", "--check", "--batch", "1", "--crop", "64x96", "--device", "cpu"]
    assert main(learning) == 0
    capsys.readouterr()
    assert export.main([str(run / "checkpoint.pt"), "--out", str(tmp_path)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "of the network small.py:Small; say where that file lies with --network FILE.py:CLASS" in said
    assert export.main([str(run / "checkpoint.pt"), "--network", f"{file}:Pooled", "--out", str(tmp_path)]) == 2
    file.write_text(SMALL.replace("halving(3, 8), halving(8, 16)", "halving(3, 9), halving(9, 16)"))
    assert export.main([str(run / "checkpoint.pt"), "--network", f"{file}:Small", "--out", str(tmp_path)]) == 2
    assert "its weights are not those of small.py:Small as it is now" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("{folder}/none.py:Small", "there is no file"),
        ("{folder}/small.py:Big", "has no class 'Big' that derives from training.networks.SegmentationNetwork"),
        ("{folder}/small.py:nn", "has no class 'nn'"),
        ("{folder}/small.py:Pooled", r"gives \(1, 11\) for a picture \(1, 3, 64, 96\), not logits \(1, 11, h, w\)"),
        ("{folder}/small.py:Strict", "TypeError: .*unexpected keyword argument 'pretrained'"),
        ("{folder}/small.py:Talkative", "RuntimeError: sizes differ$"),
        ("{folder}/broken.py:Small", "cannot be imported: SyntaxError"),
    ],
)
def test_what_is_no_network_is_told_in_one_line(file: Path, name: str, says: str) -> None:
    (file.parent / "broken.py").write_text("class Small(:\n")
    with pytest.raises(ConfigError, match=says) as told:
        build_network(name.format(folder=file.parent), 11)
    assert "\n" not in str(told.value)
