"""`profile` as a user meets it: a real run, and its JSON, trace and page looked into."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from engines.processor import available_cores
from pipeline.cli import main
from tests.pipeline.recordings import numbered_picture, write_video

PROJECT = Path(__file__).resolve().parents[3]
SMALL = ("--size", "48x80", "--duration", "0.5", "--quiet")


def clearway(*arguments: object, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / "launch.py"), "profile", *map(str, arguments)]
    environment = os.environ | ({"XDG_CACHE_HOME": str(cache)} if cache else {})
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = [numbered_picture(number) for number in range(40)]
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", pictures)


@pytest.fixture(scope="module")
def replayed(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile of a replay with all its outputs."""
    folder = tmp_path_factory.mktemp("profile")
    outputs = ("--json", folder / "profile.json", "--trace", folder / "trace.json", "--report", folder / "page")
    result = clearway(clip, *SMALL, *outputs)
    assert result.returncode == 0, result.stderr
    return folder


def figures_of(folder: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((folder / "profile.json").read_text())
    return figures


def test_the_figures_agree_with_each_other(replayed: Path):
    figures = figures_of(replayed)
    assert figures["fps"] > 0
    assert figures["efficiency"] == pytest.approx(figures["fps"] / figures["bare_engine_fps"], rel=0.01)
    floors = figures["floors_ms"]
    assert floors["sum"] == pytest.approx(floors["decode"] + floors["engine"], abs=0.001)
    assert floors["shared"] >= max(floors["decode"], floors["engine"])
    assert figures["efficiency_against_floors"] == pytest.approx(floors["shared"] * figures["fps"] / 1e3, rel=0.01)
    for stage in ("decode", "preprocess", "engine", "postprocess"):
        row = figures["timings_ms"][stage]
        assert 0 < row["p50"] <= row["p95"] <= row["p99"] <= row["max"] * 1.01
        assert 0 <= figures["cpu_ms"][stage] <= figures["cpu_ms"]["total"]
    assert len(figures["segments"]) == 8
    assert sum(segment["frames"] for segment in figures["segments"]) == len(figures["frames_ms"])
    assert figures["age_ms"]["p50"] >= figures["timings_ms"]["engine"]["p50"] * 0.5
    assert figures["memory_mb"] > 50
    assert figures["throttled"] in {True, False, None}
    assert figures["throttled"] is not None or figures["throttling_sources"] == 0
    assert figures["timers_share"] < 0.05
    assert figures["warm_up"]["frames"] >= 24
    assert figures["settings"]["network_size"] == [48, 80]


def test_the_trace_has_threads_stages_and_a_flow_for_each_frame(replayed: Path):
    events = json.loads((replayed / "trace.json").read_text())["traceEvents"]
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    lookers = {name for name in names.values() if name.startswith(("clearway-looking", "clearway-perception"))}
    assert len(lookers) == min(available_cores(), 4)
    assert {"profile", "clearway-capture", "clearway-meaning_0"} | lookers == set(names.values())
    slices = [event for event in events if event["ph"] == "X"]
    stages = defaultdict(int)
    for event in slices:
        stages[event["name"]] += 1
        assert event["ts"] >= 0
        assert event["dur"] >= 0
        assert event["tid"] in names
    assert stages["engine"] == stages["preprocess"] == stages["postprocess"] >= 8 * 24
    assert stages["engine alone"] == stages["decoder alone"] == 9
    frames = [event for event in slices if "age_ms" in event["args"]]
    assert len(frames) == stages["engine"]
    starts, ends = ({e["id"]: e for e in events if e["ph"] == phase} for phase in ("s", "f"))
    assert set(starts) == set(ends)
    assert len(starts) == len(frames)
    for number, start in starts.items():
        assert start["ts"] <= ends[number]["ts"]
        assert names[start["tid"]] == "clearway-capture"
        assert names[ends[number]["tid"]] in lookers
        assert ends[number]["bp"] == "e"


def test_no_stage_takes_more_cpu_time_than_time(replayed: Path):
    """Not what the engine's opening, the warm-up or the run between two frames cost."""
    events = json.loads((replayed / "trace.json").read_text())["traceEvents"]
    laps = [event for event in events if event["ph"] == "X" and event["name"] in {"preprocess", "engine"}]
    cpu_ms = [lap["args"]["cpu_ms"] for lap in laps if "cpu_ms" in lap["args"]]
    assert len(cpu_ms) > 200
    for lap in laps:
        assert lap["args"].get("cpu_ms", 0.0) <= lap["dur"] / 1e3 + 1.0


def test_slices_of_one_thread_lie_side_by_side_or_inside_each_other(replayed: Path):
    events = json.loads((replayed / "trace.json").read_text())["traceEvents"]
    by_thread = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            by_thread[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for spans in by_thread.values():
        open_ends: list[float] = []
        for begin, end in sorted(spans, key=lambda span: (span[0], -span[1])):
            while (
                open_ends and open_ends[-1] <= begin + 2.0
            ):  # microseconds: two clocks that are read one after another
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1] + 2.0
            open_ends.append(end)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.links: list[str] = []
        self.steps: list[tuple[str, float]] = []
        self._tag, self._step = "", ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        if self._tag in {"h1", "h2"} and data.strip():
            self.headings.append(data.strip())
        if self._tag == "span":
            self._step = data.strip() or self._step
        if self._tag == "em" and data.strip():
            self.steps.append((self._step, float(data)))


def test_the_page_holds_everything_itself(replayed: Path):
    text = (replayed / "page" / "index.html").read_text()
    page = Page()
    page.feed(text)
    assert page.links == []
    assert "The way of a frame" in page.headings
    assert f"{figures_of(replayed)['fps']:.1f}" in text
    assert "nan" not in text


def test_waiting_for_an_engine_is_no_work_of_the_stage_after_it(replayed: Path):
    page = Page()
    page.feed((replayed / "page" / "index.html").read_text())
    timings = figures_of(replayed)["timings_ms"]
    assert {"decode", "waiting", "preprocess", "engine", "postprocess"} <= {name for name, _ in page.steps}
    for name, took_ms in page.steps:
        if name in {"preprocess", "engine"}:
            assert took_ms <= timings[name]["max"] * 1.05 + 0.01, name


def test_cameras_go_through_the_live_run(clip: Path, tmp_path: Path):
    result = clearway(clip, *SMALL, "--cameras", 2, "--json", tmp_path / "profile.json", "--trace", tmp_path / "t.json")
    assert result.returncode == 0, result.stderr
    figures = figures_of(tmp_path)
    assert figures["settings"]["cameras"] == figures["settings"]["batch"] == 2
    assert figures["offered_fps"] == 50
    assert figures["decodes_per_scene"] >= 1
    assert set(figures["dropped"]) == {"late", "superseded", "corrupt", "engine", "starting"}
    threads = {
        e["args"]["name"]
        for e in json.loads((tmp_path / "t.json").read_text())["traceEvents"]
        if e["name"] == "thread_name"
    }
    assert {"clearway-camera-camera-1", "clearway-camera-camera-2"} <= threads


def test_a_batch_is_looked_at_in_one_call(clip: Path, tmp_path: Path):
    outputs = ("--json", tmp_path / "profile.json", "--trace", tmp_path / "trace.json")
    result = clearway(clip, *SMALL, "--batch", 3, *outputs)
    assert result.returncode == 0, result.stderr
    assert figures_of(tmp_path)["settings"]["batch"] == 3
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    began = [event["ts"] for event in events if event["ph"] == "X" and "age_ms" in event["args"]]
    assert len(began) == 3 * len(set(began))


def test_compare_answers_with_its_exit_code(replayed: Path, tmp_path: Path, capsys):
    profile = replayed / "profile.json"
    assert main(["profile", "--compare", str(profile), str(profile), "--json", str(tmp_path / "comparison.json")]) == 0
    assert "not s" in capsys.readouterr().err  # not slower, or not shown to be
    assert json.loads((tmp_path / "comparison.json").read_text())["frame"]["estimate"] == 1.0
    figures = figures_of(replayed)
    for segment in figures["segments"]:
        segment["frame_ms"] *= 10
    (tmp_path / "slow.json").write_text(json.dumps(figures))
    assert main(["profile", "--compare", str(profile), str(tmp_path / "slow.json")]) == 1
    assert "slower: a frame" in " ".join(capsys.readouterr().err.split())


def test_without_an_input_a_drive_is_kept_and_a_folder_of_others_refused(tmp_path: Path, monkeypatch):
    from evaluation.profile import clip as clips
    from pipeline.errors import SinkError
    from pipeline.sources import open_source

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(clips, "_DRIVE", "synthetic://drive?frames=6&seed=1&size=160x96")
    notes: list[str] = []
    kept = clips.drive_clip(notes.append)
    assert kept == clips.drive_clip(notes.append)
    assert len(notes) == 1
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert len(list(open_source(str(kept)).frames())) == 6
    assert [file.name for file in kept.parent.iterdir()] == [kept.name]
    kept.parent.chmod(0o777)
    with pytest.raises(SinkError, match="others can write"):
        clips.drive_clip()


def test_no_output_replaces_the_input_or_another_output(clip: Path, replayed: Path, tmp_path: Path, capsys):
    recording, page = tmp_path / "drive.mp4", tmp_path / "page"
    recording.write_bytes(clip.read_bytes())
    link, profile = tmp_path / "link.json", tmp_path / "profile.json"
    link.symlink_to(recording)
    profile.write_bytes((replayed / "profile.json").read_bytes())
    kept = {file: file.read_bytes() for file in (recording, profile)}
    cases: list[list[object]] = [
        [recording, "--json", recording],
        [f"file://{recording}", "--trace", link],
        [tmp_path / "*.mp4", "--json", recording],
        [recording, "--json", tmp_path / "one.json", "--trace", tmp_path / "one.json"],
        [recording, "--report", page, "--json", page / "index.html"],
        ["--compare", profile, profile, "--json", profile],
    ]
    for arguments in cases:
        assert main(["profile", *map(str, arguments), *SMALL]) == 2, arguments
        assert "would replace the input or another output" in capsys.readouterr().err
    assert all(file.read_bytes() == content for file, content in kept.items())


def test_a_run_that_fails_leaves_no_empty_file_and_an_older_one_as_it_was(tmp_path: Path):
    older = tmp_path / "older.json"
    older.write_text("kept")
    outputs = ("--json", str(older), "--trace", str(tmp_path / "new.json"))
    assert main(["profile", str(tmp_path / "nothing.mp4"), *outputs, "--quiet"]) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["older.json"]
    assert older.read_text() == "kept"


def damaged(profile: dict[str, Any], damage: Callable[[dict[str, Any]], object]) -> str:
    copy = json.loads(json.dumps(profile))
    damage(copy)
    return json.dumps(copy)


def test_a_damaged_profile_is_told_from_a_slow_one(replayed: Path, tmp_path: Path, capsys):
    whole = figures_of(replayed)
    cases = {
        "no segments": damaged(whole, lambda profile: profile["segments"].clear()),
        "no time": damaged(whole, lambda profile: profile["segments"][0].update(engine_ms=0)),
        "no median": damaged(whole, lambda profile: profile["timings_ms"]["engine"].pop("p50")),
        "cut off": json.dumps(whole)[:-200],
        "empty": "",
        "a trace": (replayed / "trace.json").read_text(),
    }
    for name, content in cases.items():
        (tmp_path / "damaged.json").write_text(content)
        assert main(["profile", "--compare", str(replayed / "profile.json"), str(tmp_path / "damaged.json")]) == 2, name
        said = capsys.readouterr().err.strip()
        assert "damaged.json: not what `profile --json` writes" in said, f"{name}: {said}"
        assert len(said.splitlines()) == 1, name


def test_bad_input_gives_one_clear_line_and_exit_code_2(clip: Path, replayed: Path, tmp_path: Path, capsys):
    (tmp_path / "other.json").write_text('{"fps": 3}')
    (tmp_path / "file").write_text("")
    old = figures_of(replayed) | {"format": "clearway-profile/0"}
    (tmp_path / "old.json").write_text(json.dumps(old))
    twice = ["--compare", *[replayed / "profile.json"] * 2]
    cases: dict[str, tuple[list[object], str]] = {
        "missing file": ([tmp_path / "nothing.mp4"], "no such file"),
        "no seconds": ([clip, "--duration", 0], "--duration 0"),
        "no duration at all": ([clip, "--duration", "nan"], "--duration nan"),
        "negative cameras": ([clip, "--cameras", -1], "--cameras -1"),
        "more in a batch than cameras": ([clip, "--cameras", 2, "--batch", 3], "never give so many"),
        "unwritable figures": ([clip, "--json", tmp_path / "file" / "f.json"], "f.json"),
        "unwritable page": ([clip, "--report", tmp_path / "file" / "page"], "page"),
        "no pictures in a batch": ([clip, "--batch", 0], "--batch 0"),
        "a folder as trace": ([clip, "--trace", tmp_path], "Is a directory"),
        "comparison with a recording": ([clip, *twice], "leave out INPUT"),
        "comparison with a trace": (["--trace", "t", *twice], "leave out --trace"),
        "comparison without a file": (["--compare", tmp_path / "a.json", tmp_path / "b.json"], "a.json"),
        "comparison with something else": (["--compare", *[tmp_path / "other.json"] * 2], "other.json"),
        "comparison with an old format": (["--compare", *[tmp_path / "old.json"] * 2], "measure it again"),
    }  # fmt: skip
    for name, (arguments, expected) in cases.items():
        assert main(["profile", *map(str, arguments), "--quiet"]) == 2, name
        said = capsys.readouterr().err.strip()
        assert len(said.splitlines()) == 1, f"{name}: {said}"
        assert said.startswith("clearway: error: "), name
        assert expected in said, f"{name}: {said}"
