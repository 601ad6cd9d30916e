"""The grid of the road plane: what is seen to be free is free, what hides is occupied, what is hidden is unknown."""

from __future__ import annotations

import numpy as np

from engines.classes import CITYSCAPES
from pipeline.geometry import CameraModel, CameraPose, RoadView
from pipeline.postprocess import encode_runs, find_drivable
from pipeline.road.occupancy import FREE, OCCUPIED, UNKNOWN, OccupancyGrid, occupancy_grid
from pipeline.scene import Frame, Scene, Segmentation

VIEW = RoadView(CameraModel((360, 640), 450.0, 450.0, 320.0, 180.0), CameraPose(1.5, 0.05, 0.01))
ROAD, SIDEWALK, SKY, CAR = 0, 1, 10, 13


def scene_of(ids: np.ndarray) -> Scene:
    frame = Frame(0, 0.0, 0.0, (360, 640), lambda: np.zeros((360, 640, 3), np.uint8))
    drivable = find_drivable(encode_runs(ids), ROAD, (CAR,))
    return Scene(frame, Segmentation(ids, CITYSCAPES, np.ones((45, 80), np.float32)), drivable, ())


def street() -> np.ndarray:
    """A road 8 m wide between pavements; a car stands 12 m ahead in the middle, 1.5 m high and 2 m wide."""
    rows, columns = np.mgrid[:360, :640] + 0.5
    road = VIEW.road_from_image(np.stack([columns.ravel(), rows.ravel()], axis=1)).reshape(360, 640, 2)
    with np.errstate(invalid="ignore"):
        ids = np.where(np.isnan(road[..., 0]), SKY, np.where(np.abs(road[..., 1]) < 4.0, ROAD, SIDEWALK))
    corners = VIEW.image_from_road([[12.0, 1.0, 1.5], [12.0, -1.0, 0.0]])
    (left, top), (right, bottom) = corners.round().astype(int)
    ids[top:bottom, left:right] = CAR
    return ids.astype(np.uint8)


def cell(grid: OccupancyGrid, x_m: float, y_m: float) -> int:
    return int(grid.cells[int(x_m / grid.cell_m), int((grid.aside_m - y_m) / grid.cell_m)])


def test_a_street_with_a_car():
    grid = occupancy_grid(scene_of(street()), VIEW, cell_m=0.5, ahead_m=40.0, aside_m=10.0)
    assert grid.cells.shape == (80, 40)
    assert [cell(grid, x, 0.2) for x in (6.0, 8.0, 10.0, 11.4)] == [FREE] * 4
    assert OCCUPIED in [cell(grid, x, 0.2) for x in (11.75, 12.25, 12.75)]
    assert [cell(grid, x, 0.2) for x in (15.0, 20.0, 30.0)] == [UNKNOWN] * 3, "hidden by the car"
    assert [cell(grid, x, 3.2) for x in (10.0, 15.0, 25.0)] == [FREE] * 3, "beside the car"
    assert [cell(grid, x, -4.8) for x in (10.0, 20.0)] == [OCCUPIED] * 2, "the pavement"
    assert cell(grid, 1.0, 0.0) == UNKNOWN, "below the picture"
    assert cell(grid, 3.0, 9.0) == UNKNOWN, "beside it"


def test_what_is_not_looked_at_is_unknown():
    void = np.full((360, 640), 255, np.uint8)
    assert (occupancy_grid(scene_of(void), VIEW).cells == UNKNOWN).all()
