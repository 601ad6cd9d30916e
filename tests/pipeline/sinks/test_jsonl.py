"""Scenes as JSON lines, and the schema that describes them."""

from __future__ import annotations

import json
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pipeline.errors import SinkError
from pipeline.road.occupancy import occupancy_grid
from pipeline.scene import Alert
from pipeline.sinks.jsonl import SCENE_SCHEMA, JsonlSink, SceneRecord, scene_schema
from tests.pipeline.scenes import SKY, in_metres, make_scene, write_all

PROJECT = Path(__file__).resolve().parents[3]


def test_a_line_holds_what_the_scene_holds(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "scenes.jsonl")
    sink.write(make_scene(7, time_s=1 / 3, alerts=(Alert("near", "a car 4 m ahead"),)), None)
    sink.close()
    line = json.loads((tmp_path / "scenes.jsonl").read_text())
    assert list(line) == ["schema", "index", "source_time_s", "drivable", "road_users", "alerts"]
    assert (line["schema"], line["index"], line["source_time_s"]) == (SCENE_SCHEMA, 7, 0.333333)
    assert list(line["drivable"]) == ["area_px", "polygon", "free_space_px"]
    assert len(line["drivable"]["free_space_px"]) == 160
    assert line["drivable"]["area_px"] == make_scene().drivable.area_px
    assert all(len(point) == 2 for point in line["drivable"]["polygon"])
    assert line["road_users"][1] == {
        "id": 2,
        "class": "person",
        "box_xyxy": [32, 48, 48, 84],
        "foot_px": [40.0, 84.0],
        "area_px": 16 * 36,
        "confidence": 0.8765,
    }
    assert line["alerts"] == [{"kind": "near", "message": "a car 4 m ahead"}]


def test_a_scene_without_road_or_road_users_has_empty_lists(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "scenes.jsonl")
    sink.write(make_scene(ids=np.full((60, 80), SKY, np.uint8)), None)
    sink.close()
    line = json.loads((tmp_path / "scenes.jsonl").read_text())
    assert line["drivable"] == {"area_px": 0, "polygon": [], "free_space_px": [-1] * 80}
    assert line["road_users"] == line["alerts"] == []


def test_a_scene_in_metres_says_so_and_what_is_unknown_is_null(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "scenes.jsonl")
    scene = in_metres(make_scene())
    sink.write(scene, None)
    sink.close()
    text = (tmp_path / "scenes.jsonl").read_bytes()
    msgspec.json.decode(text, type=SceneRecord)
    line = json.loads(text)
    assert b"NaN" not in text
    car, person = line["road_users"]
    assert person["whereabouts"] == {
        "position_m": [12.0, 0.4],
        "distance_m": 12.01,
        "distance_std_m": 0.2,
        "velocity_mps": [0.1, -1.2],
        "speed_std_mps": 0.3,
        "in_path": True,
        "enters_path_in_s": 0.0,
        "time_to_reach_s": 1.5,
        "time_to_reach_std_s": 0.2,
    }
    assert person["recognition"] == {"name": "person 17", "score": 0.97, "is_new": False}
    assert car["whereabouts"]["velocity_mps"] is car["whereabouts"]["time_to_reach_s"] is None
    assert "recognition" not in car
    assert line["road"]["clear"] == {"distance_m": 12.0, "std_m": 0.3, "is_open": False, "place_px": [40.0, 80.0]}
    assert line["road"]["free_space"]["distance_m"][:3] == [9.49, 0.0, None]
    assert line["road"]["free_space"]["ends_m"][:2] == [[9.0, 3.0], None]
    assert line["road"]["motion"]["speed_mps"] == 8.0
    grid = line["road"]["grid"]
    cells = ["".join(int(count) * cell for count, cell in re.findall(r"(\d+)(.)", row)) for row in grid["rows"]]
    assert [len(row) for row in cells] == [40] * 80
    assert scene.road is not None
    told = occupancy_grid(scene, scene.road.view, cell_m=grid["cell_m"], ahead_m=40.0, aside_m=grid["aside_m"]).cells
    assert ["".join("?.#"[cell] for cell in row) for row in told.tolist()] == cells
    assert set("".join(cells)) >= {"?", "."}
    assert line["visibility"] == {"mask_confidence": 0.93, "causes": ["glare"], "is_low": False}
    assert line["alerts"][0]["evidence"] == {"id": 2.0, "distance_m": 12.0}


def test_real_lines_satisfy_the_schema(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "scenes.jsonl")
    for index in range(5):
        sink.write(make_scene(index), None)
    sink.close()
    lines = (tmp_path / "scenes.jsonl").read_bytes().splitlines()
    # Decoding into the type checks every constraint of the schema, which is generated from it.
    records = [msgspec.json.decode(line, type=SceneRecord) for line in lines]
    assert [record.index for record in records] == [0, 1, 2, 3, 4]


def test_the_schema_refuses_a_line_of_another_format(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "scenes.jsonl")
    sink.write(make_scene(), None)
    sink.close()
    line = (tmp_path / "scenes.jsonl").read_bytes()
    for old, new in ((b"clearway-scene/1", b"clearway-scene/2"), (b'"confidence":0.8765', b'"confidence":1.5')):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(line.replace(old, new), type=SceneRecord)


def test_the_schema_in_the_documentation_is_up_to_date() -> None:
    written = json.loads((PROJECT / "docs" / "scene-schema.json").read_text())
    assert written == scene_schema(), "regenerate it: python -m pipeline.sinks.jsonl > docs/scene-schema.json"


def test_every_line_is_on_disk_when_write_returns(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "scenes.jsonl")
    for count in range(1, 4):
        sink.write(make_scene(count), None)
        assert (tmp_path / "scenes.jsonl").read_bytes().count(b"\n") == count
    sink.close()


def test_a_full_disk_leaves_only_complete_lines(tiny_disk: Path) -> None:
    sink = JsonlSink(tiny_disk / "scenes.jsonl", name="scenes.jsonl")
    with pytest.raises(SinkError, match=r"cannot write scenes\.jsonl: the disk is full"):
        write_all(sink, (make_scene(index) for index in range(100_000)))
    sink.close()
    lines = (tiny_disk / "scenes.jsonl").read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["index"] for line in lines] == list(range(len(lines)))
    assert len(lines) > 3
    assert lines[-1].endswith(b"\n")


def test_a_killed_run_leaves_its_lines(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from tests.pipeline.scenes import make_scene\n"
        "from pipeline.sinks.jsonl import JsonlSink\n"
        "sink = JsonlSink(Path(sys.argv[1]))\n"
        "for index in range(20): sink.write(make_scene(index), None)\n"
        f"os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "scenes.jsonl")], check=False, cwd=PROJECT)
    assert done.returncode == -signal.SIGKILL
    assert len((tmp_path / "scenes.jsonl").read_bytes().splitlines()) == 20


def test_a_file_that_may_not_grow_further_is_reported_like_a_full_disk(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    sink = JsonlSink(tmp_path / "scenes.jsonl")
    sink.write(make_scene(0), None)
    size = (tmp_path / "scenes.jsonl").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
    try:
        with pytest.raises(SinkError, match="larger than this system allows"):
            sink.write(make_scene(1), None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    sink.close()
    assert (tmp_path / "scenes.jsonl").stat().st_size == size
