"""Scenes beside the pictures, and scenes made again from the pictures: they are the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from engines.artifact import find_model, load_artifact
from engines.factory import open_engine
from pipeline.cameras.base import CameraRecorder, EncodedPacket, VideoParameters
from pipeline.cli import main
from pipeline.config import load_calibration, load_view
from pipeline.perception import Perception
from pipeline.scene import CameraView, Frame, Scene
from pipeline.sinks.masks import train_id_table
from pipeline.situation import Situation, SituationSettings
from pipeline.sources.decoded import frame_of
from pipeline.timings import StageTimings
from tests.pipeline.calibration import write_calibration
from tests.pipeline.recording.streams import make_stream, recording, send, videos, wait_until
from tests.pipeline.scenes import make_scene

SIZE_HW = (128, 256)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def of_camera(scene: Scene, camera: str = "front", state: Any = "live") -> Scene:
    return replace(scene, frame=replace(scene.frame, camera=camera), camera=CameraView(camera, state, age_ms=40.0))


def test_every_scene_lies_beside_the_segment_of_its_time(tmp_path: Path) -> None:
    stream = make_stream("h264", 60)
    with recording(tmp_path, segment_s=0.8) as recorder:
        front, sink = recorder.for_camera("front"), recorder.sink()
        front.begin(stream.parameters)
        for index, packet in enumerate(stream.packets):
            front.packet(packet)
            if index >= 5:  # The engine is five frames behind: some scenes come after their segment has ended.
                sink.write(of_camera(make_scene(index - 5, time_s=stream.packets[index - 5].time_s)), None)
        sink.close()
    segments = videos(tmp_path)
    for position, video in enumerate(segments):
        begins_s = float(video.name.removesuffix(".mp4"))
        times_s = [line["source_time_s"] for line in lines_of(video.with_name(video.name.replace(".mp4", ".jsonl")))]
        assert times_s[0] == begins_s == 0.8 * position
        assert times_s == sorted(times_s)
        assert times_s[-1] < begins_s + 0.8
    assert len(segments) == 3


def test_scenes_without_a_signal_stand_where_the_signal_was_lost(tmp_path: Path) -> None:
    stream = make_stream("h264", 20)
    with recording(tmp_path) as recorder:
        sink = recorder.sink()
        sink.write(of_camera(make_scene(0, time_s=0.0), state="connecting"), None)  # Nothing to lie beside yet.
        send(recorder.for_camera("front"), stream, 1.0)
        for second in range(2, 5):
            sink.write(of_camera(make_scene(20, time_s=float(second)), state="reconnecting"), None)
        send(recorder.for_camera("front"), stream, 5.0)
        sink.write(of_camera(make_scene(20, time_s=5.0)), None)
    first, second_part = (lines_of(video.with_name(video.name.replace(".mp4", ".jsonl"))) for video in videos(tmp_path))
    assert [(line["source_time_s"], line["camera"]["state"]) for line in first] == [
        (2.0, "reconnecting"),
        (3.0, "reconnecting"),
        (4.0, "reconnecting"),
    ]
    assert [line["source_time_s"] for line in second_part] == [5.0]


def packets_and_frames(clip: Path, count: int) -> Iterator[tuple[EncodedPacket, list[Frame]]]:
    """What a camera's connection gives: each packet, and the frames that were decoded with it."""
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        video.codec_context.thread_count = 1
        for packet in container.demux(video):
            if packet.pts is None or packet.dts is None or count <= 0:
                continue
            count -= 1
            encoded = EncodedPacket(
                bytes(packet),
                float(packet.pts * packet.time_base),
                float(packet.dts * packet.time_base),
                packet.is_keyframe,
            )
            yield encoded, [frame_of(picture, 0, float(picture.time or 0.0)) for picture in packet.decode()]


def parameters_of(clip: Path) -> VideoParameters:
    with av.open(str(clip)) as container:
        context = container.streams.video[0].codec_context
        return VideoParameters(context.name, (context.height, context.width), context.extradata or b"")


def see_live(camera: CameraRecorder, clip: Path, start_s: float, see: Any, count: int) -> list[Scene]:
    """Run a clip as a camera: record its packets, see every other frame of it, as a slow engine would."""
    assert camera.begin(parameters_of(clip))
    scenes, given = [], 0
    for packet, frames in packets_and_frames(clip, count):
        camera.packet(replace(packet, time_s=start_s + packet.time_s, decode_time_s=start_s + packet.decode_time_s))
        for frame in frames:
            live = replace(frame, source_time_s=round(start_s + frame.source_time_s, 6), camera="front")
            given += 1
            if given % 2:
                scenes.append(see(live))
    camera.end()
    return scenes


@pytest.mark.data
def test_scenes_of_the_replay_are_those_that_were_recorded_live(tmp_path: Path, driving_data: Path) -> None:
    """Two connections, real streams of two sizes, a real network: class for class, and line for line.

    That holds for what is known over time as well: ids, speeds, alerts. The camera file fits the first stream alone.
    """
    clips = [
        driving_data / "clips" / "udacity_solidWhiteRight.mp4",
        driving_data / "clips" / "autoware_highway_1024_512.mp4",
    ]
    calibration = write_calibration(tmp_path, (540, 960))
    artifact = load_artifact(find_model("clearway-lite"))
    options: dict[str, Any] = {"kind": "openvino", "size_hw": SIZE_HW, "precision": "fp32", "threads": 2}
    kept = load_calibration(*map(str, calibration))
    assert kept is not None
    with recording(tmp_path / "rides", segment_s=0.4, calibrations={"front": kept}) as recorder:
        sink = recorder.sink()
        settings = SituationSettings(view=load_view(*map(str, calibration)))
        engine = open_engine(artifact, **options)
        with Perception(engine, StageTimings(), situate=lambda _: Situation(settings)) as perception:
            live = see_live(recorder.for_camera("front"), clips[0], 0.7312345, perception.see, 16)
            live += see_live(recorder.for_camera("front"), clips[1], 60.1, perception.see, 14)
        for scene in live:
            sink.write(scene, None)
        wait_until(lambda: recorder.status.pictures == 30)
    assert len(live) > 10

    masks, replayed = tmp_path / "masks", tmp_path / "again.jsonl"
    size = f"{SIZE_HW[0]}x{SIZE_HW[1]}"
    arguments = ["--engine", "openvino", "--precision", "fp32", "--size", size, "--threads", "2", "--quiet"]
    for path in calibration:
        path.unlink()  # The recording keeps what they said.
    outputs = [str(replayed), f"{masks}/", str(tmp_path / "again.mp4")]
    assert main(["replay", str(tmp_path / "rides"), *outputs, *arguments]) == 0

    again = {line["source_time_s"]: line for line in lines_of(replayed)}
    assert len(again) == 30
    for scene in live:
        labels = cv2.imread(
            str(masks / f"{again[round(scene.frame.source_time_s, 6)]['index']:06d}.png"), cv2.IMREAD_GRAYSCALE
        )
        table = train_id_table(scene.segmentation.classes)
        assert np.array_equal(labels, table[scene.segmentation.class_ids])
    recorded_lines = [line for path in sorted((tmp_path / "rides").rglob("*.jsonl")) for line in lines_of(path)]
    assert len(recorded_lines) == len(live)
    for line in recorded_lines:
        for key in ("drivable", "road_users", "alerts", "road", "visibility"):
            assert again[line["source_time_s"]].get(key) == line.get(key)
    assert [("road" in line) for line in recorded_lines] == [line["source_time_s"] < 60.0 for line in recorded_lines]
    assert any("whereabouts" in user for line in recorded_lines for user in line["road_users"])
    with av.open(str(tmp_path / "again.mp4")) as container:  # Of the first one's size, whatever comes later.
        assert sum(1 for _ in container.decode(video=0)) == 30
