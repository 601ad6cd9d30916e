"""The command's page and files, made from a small drive by the real network."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from pipeline.cli import main

pytest.importorskip("jinja2", reason="a report needs Jinja2: pip install clearway[report]")

DRIVE = ["evaluate", "--data", "synthetic://drive?frames=4&size=160x96&seed=2", "--format", "synthetic"]


def test_a_page_holds_everything_that_it_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder, file = tmp_path / "new" / "report", tmp_path / "new" / "figures.json"
    assert main([*DRIVE, "--threads", "1", "--report", str(folder), "--json", str(file)]) == 0
    page = (folder / "index.html").read_text()
    assert [path.name for path in folder.iterdir()] == ["index.html"]
    figures = json.loads(file.read_text())
    assert f"<b>{figures['miou']:.3f}</b><span>mean IoU</span>" in page
    assert f"<b>{100 * figures['flicker']:.2f} %</b><span>flicker</span>" in page
    addresses = re.findall(r"(?:src|href)=\"([^\"]*)\"", page)
    assert len(addresses) >= 4 * 4
    assert all(address.startswith("data:image/jpeg;base64,") for address in addresses)
    assert "http" not in page.replace("http-equiv", "")
    assert "drivable area" in capsys.readouterr().out


def test_figures_add_up(tmp_path: Path):
    file = tmp_path / "figures.json"
    assert main([*DRIVE, "--threads", "1", "--smoothing", "off", "--json", str(file)]) == 0
    figures = json.loads(file.read_text())
    assert figures["frames"] == 4
    assert figures["frame_pairs"] == 3
    assert figures["smoothing"] is False
    assert sum(map(sum, figures["confusion"]["counts"])) == 4 * 160 * 96
    assert set(figures["iou"]) == set(figures["groups"]) == set(figures["boundary_f_of_class"])
    assert 0 < figures["drivable"]["iou"] <= 1
    assert [entry["size"] for entry in figures["pedestrians"]] == ["far", "medium", "near"]


def test_a_page_is_refused_before_the_long_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").write_text("in the way")
    assert main([*DRIVE, "--report", str(tmp_path / "file" / "report")]) == 2
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert main([*DRIVE, "--report", str(tmp_path / "report")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert re.search(r"file/report: cannot be written", first)
    assert "a report needs Jinja2: pip install 'clearway[report]'" in second


def test_names_from_outside_are_text_in_the_page(tmp_path: Path):
    source = tmp_path / "<b>&data"
    for folder in ("images", "labels"):
        (source / folder).mkdir(parents=True)
    import cv2
    import numpy as np

    cv2.imwrite(str(source / "images" / "<i>.png"), np.zeros((48, 64, 3), np.uint8))
    cv2.imwrite(str(source / "labels" / "<i>.png"), np.zeros((48, 64), np.uint8))
    assert main(["evaluate", "--data", str(source), "--threads", "1", "--report", str(tmp_path / "report")]) == 0
    page = (tmp_path / "report" / "index.html").read_text()
    assert "<i>.png" not in page
    assert "<b>&data" not in page
    assert "&lt;i&gt;" in page
