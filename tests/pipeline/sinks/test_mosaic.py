"""Several cameras in one picture."""

from __future__ import annotations

import dataclasses

import numpy as np

from pipeline.scene import BgrImage, Scene
from pipeline.sinks.mosaic import MosaicSink
from tests.pipeline.scenes import make_scene


class Shown:
    name, needs_overlay, on_main_thread = "display://", True, True

    def __init__(self) -> None:
        self.pictures: list[BgrImage] = []
        self.closed = False

    def write(self, scene: Scene, picture: BgrImage | None) -> None:
        assert picture is not None
        self.pictures.append(picture)

    def close(self) -> None:
        self.closed = True


def scene_of(camera: str) -> Scene:
    scene = make_scene()
    return dataclasses.replace(scene, frame=dataclasses.replace(scene.frame, camera=camera))


def plain(level: int, size_hw: tuple[int, int] = (360, 640)) -> BgrImage:
    return np.full((*size_hw, 3), level, np.uint8)


def test_each_camera_has_its_place_and_keeps_its_newest_picture():
    shown = Shown()
    mosaic = MosaicSink(shown, ["front", "left", "right"])
    mosaic.write(scene_of("front"), plain(50))
    mosaic.write(scene_of("right"), plain(200))
    mosaic.write(scene_of("front"), plain(90))
    first, _, last = shown.pictures
    assert last.shape == (2 * 360 + 4, 2 * 640 + 4, 3)
    assert [int(last[y, x, 0]) for y, x in ((180, 320), (180, 960), (540, 320))] == [90, 0, 200]
    assert first[180, 320, 0] == 50, "what was shown is not drawn over"
    mosaic.close()
    assert shown.closed


def test_a_picture_of_another_shape_is_fitted_whole():
    shown = Shown()
    mosaic = MosaicSink(shown, ["front", "tall"])
    mosaic.write(scene_of("front"), plain(50))
    mosaic.write(scene_of("tall"), plain(200, (640, 320)))
    right = shown.pictures[-1][:, 644:, 0]
    columns = np.flatnonzero(right[180] == 200)
    assert (columns[0], columns[-1]) == (230, 409)  # 180 of 640 wide, in the middle
