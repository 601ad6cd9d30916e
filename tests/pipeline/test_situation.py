"""Scenes in metres, over time and with their doubts: the whole of `Situation`, on the rendered drive and its truth."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engines.classes import CITYSCAPES
from pipeline.cli import main
from pipeline.errors import ConfigError
from pipeline.postprocess import encode_runs, find_drivable, find_road_users
from pipeline.scene import Frame, Scene, Segmentation
from pipeline.situation import Situation, SituationSettings
from pipeline.sources.synthetic import road_view_of
from pipeline.synthetic import SyntheticDrive
from pipeline.synthetic.drive import SyntheticFrame, SyntheticRoadUser
from tests.pipeline.calibration import write_calibration

OBSTACLES = (4, 5, 7, 11, 12, 13)
SURE = np.ones((45, 80), np.float32)


def scene_of(drive: SyntheticDrive, frame: SyntheticFrame, *, index: int | None = None) -> Scene:
    """What a network that makes no mistake would make of a frame, before anything is known in metres."""
    runs = encode_runs(frame.class_ids)
    picture = Frame(
        frame.index if index is None else index,
        frame.time_s,
        0.0,
        drive.size_hw,
        lambda: frame.image,
        view=road_view_of(frame.camera, drive.size_hw),
    )
    users = find_road_users(runs, CITYSCAPES, SURE)
    segmentation = Segmentation(frame.class_ids, CITYSCAPES, SURE)
    return Scene(picture, segmentation, find_drivable(runs, 0, OBSTACLES), users)


def drive_of(seed: int, count: int) -> Iterator[tuple[SyntheticFrame, Scene]]:
    drive = SyntheticDrive(seed=seed, frame_count=300)
    for index in range(count):
        frame = drive.render(index)
        yield frame, scene_of(drive, frame)


def test_distances_of_road_users_are_the_true_ones_to_40_m():
    """True masks; people and cars that are seen alone, down to their feet.

    How high a pavement is cannot be seen: those on it are as far off as its kerb is from the usual 12 cm (here 15).
    """
    errors: dict[bool, list[float]] = {True: [], False: []}
    for seed in (1, 2, 3):
        situation = Situation(SituationSettings())
        for frame, scene in drive_of(seed, 45):
            alone = {user.box_xyxy for user in scene.road_users}  # Not cut out of a row of parked cars.
            for user in situation.understand(scene).road_users:
                found = [one for one in frame.road_users if overlap(one.box_xyxy, user.box_xyxy) > 0.9]
                if user.box_xyxy not in alone:
                    continue
                if len(found) == 1 and user.whereabouts is not None and 4.0 < found[0].distance_m < 40.0:
                    true = found[0]
                    if shows_its_foot(frame, true, scene):
                        errors[true.foot_m[2] == 0.0].append(abs(user.whereabouts.distance_m / true.distance_m - 1.0))
    assert min(map(len, errors.values())) > 100
    assert np.median(errors[True]) < 0.01
    assert np.quantile(errors[True], 0.9) < 0.03
    assert np.median(errors[False]) < 0.035


def shows_its_foot(frame: SyntheticFrame, user: SyntheticRoadUser, scene: Scene) -> bool:
    assert scene.frame.view is not None
    x, y = scene.frame.view.image_from_road([user.foot_m])[0].tolist()
    around = frame.instance_ids[max(0, int(y) - 2) : int(y) + 1, max(0, int(x) - 2) : int(x) + 3]
    return y < len(frame.instance_ids) - 2 and bool((around == user.id).any())


def overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(width, 0) * max(height, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (areas - both)


def test_without_calibration_everything_stays_in_pixels():
    situation = Situation(SituationSettings())
    for _, scene in drive_of(2, 4):
        known = situation.understand(dataclasses.replace(scene, frame=dataclasses.replace(scene.frame, view=None)))
        assert known.road is None
        assert all(user.whereabouts is None for user in known.road_users)
        assert [user.box_xyxy for user in known.road_users] == [user.box_xyxy for user in scene.road_users]
        assert known.drivable is scene.drivable


def test_the_same_frames_give_the_same_scenes_whatever_else_was_looked_at():
    """Frames that leave no trace are understood, and change nothing for those after them."""
    settings = SituationSettings()
    plain, disturbed = Situation(settings), Situation(settings)
    for frame, scene in drive_of(3, 12):
        expected = plain.understand(scene)
        if frame.index % 3 == 1:
            extra = dataclasses.replace(scene, frame=dataclasses.replace(scene.frame, leaves_trace=False))
            assert len(disturbed.understand(extra).road_users) > 0
        found = disturbed.understand(scene)
        assert [(user.id, user.whereabouts) for user in found.road_users] == [
            (user.id, user.whereabouts) for user in expected.road_users
        ]
        assert found.alerts == expected.alerts
        assert found.road is not None
        assert expected.road is not None
        assert (found.road.clear, found.road.motion) == (expected.road.clear, expected.road.motion)


def test_stills_stand_for_themselves():
    """The same picture gives the same scene wherever it comes, and no speed of anybody."""
    situation = Situation(SituationSettings(follows=False))
    scenes = [scene for _, scene in drive_of(2, 3)]
    first = situation.understand(scenes[0])
    situation.understand(scenes[2])
    again = situation.understand(scenes[0])
    assert [(user.id, user.whereabouts) for user in again.road_users] == [
        (user.id, user.whereabouts) for user in first.road_users
    ]
    assert first.road is not None
    assert first.road.motion is None
    assert any(user.whereabouts is not None for user in first.road_users)
    assert all(user.whereabouts is None or user.whereabouts.velocity_mps is None for user in first.road_users)


def test_no_road_is_claimed_where_nothing_can_be_seen():
    """A lens that is covered for a second: the network may still believe in a road; the scene does not."""
    situation = Situation(SituationSettings())
    drive = SyntheticDrive(seed=1, frame_count=60)
    black = np.zeros((*drive.size_hw, 3), np.uint8)
    for index in range(60):
        frame = drive.render(index)
        scene = scene_of(drive, frame if index < 10 else dataclasses.replace(frame, image=black))
        known = situation.understand(scene)
        assert known.visibility is not None
        assert known.road is not None
        if index < 10:
            assert not known.visibility.is_low
            assert known.drivable.area_px > 0
    assert known.visibility.is_low
    assert known.visibility.causes
    assert known.drivable.area_px == 0
    assert not known.drivable.mask.any()
    assert (known.drivable.free_space_px == -1).all()
    assert (known.road.clear.distance_m, known.road.clear.is_open) == (0.0, False)
    assert (known.road.free_space.distance_m == 0.0).all()
    kinds = [alert.kind for alert in known.alerts]
    assert "low_confidence" in kinds
    assert "path_blocked" not in kinds, "that nothing can be seen says nothing of what is there"


# Through the command line.


def replay(*arguments: str) -> int:
    return main(["replay", *arguments, "--size", "184x320", "--threads", "1", "--quiet"])


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_rendered_drive_is_in_metres_by_itself(tmp_path: Path):
    out = tmp_path / "x.jsonl"
    assert replay("synthetic://drive?frames=6&seed=1&size=320x180", str(out)) == 0
    lines = lines_of(out)
    assert len(lines) == 6
    assert all({"road", "visibility"} <= set(line) for line in lines)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["--camera"], "a camera alone tells no metres; add --ground ground.toml"),
        (["--ground"], "the ground alone tells no metres; add --camera camera.toml"),
        (["--camera", "--ground", "other shape"], "measured on 320x320 pictures, these are 320x180: another shape"),
        (["--camera", "--ground", "no height"], "the height of the camera is unknown"),
        (["--camera", "--ground", "gone"], "cannot be read"),
    ],
)
def test_calibration_that_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], complaint: str
):
    camera, ground = write_calibration(tmp_path, (320, 320) if "other shape" in given else (360, 640))
    if "no height" in given:
        ground.write_text(ground.read_text().replace("height_m = 1.4\n", ""))
    if "gone" in given:
        camera.unlink()
    files = {"--camera": camera, "--ground": ground}
    arguments = [text for flag in given if flag in files for text in (flag, str(files[flag]))]
    assert replay("synthetic://drive?frames=2&size=320x180", str(tmp_path / "x.jsonl"), *arguments) == 2
    said = capsys.readouterr().err.strip()
    assert complaint in said
    assert len(said.splitlines()) == 1


def test_a_camera_of_another_size_is_rescaled(tmp_path: Path):
    camera, ground = write_calibration(tmp_path, (720, 1280))
    out = tmp_path / "x.jsonl"
    uri = "synthetic://drive?frames=3&seed=1&size=320x180"
    assert replay(uri, str(out), "--camera", str(camera), "--ground", str(ground)) == 0
    view = lines_of(out)[0]["road"]["view"]  # type: ignore[index]
    assert (view["height_m"], view["pitch_rad"]) == (1.4, 0.03)


def test_the_first_picture_of_another_shape_is_refused_a_later_one_is_not(tmp_path: Path):
    """A run does not end because its camera changes its mind; what it shows then is not known in metres."""
    from pipeline.config import load_view

    view = load_view(*map(str, write_calibration(tmp_path, (360, 640))))
    square = SyntheticDrive(seed=1, frame_count=2, size_hw=(160, 160))
    fitting = SyntheticDrive(seed=1, frame_count=4, size_hw=(180, 320))
    with pytest.raises(ConfigError, match="another shape"):
        Situation(SituationSettings(view)).understand(scene_of(square, square.render(0)))
    situation = Situation(SituationSettings(view))
    assert situation.understand(scene_of(fitting, fitting.render(0))).road is not None
    assert situation.understand(scene_of(square, square.render(1))).road is None
    assert situation.understand(scene_of(fitting, fitting.render(2))).road is not None
