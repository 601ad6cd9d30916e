"""A real road: stereo measures it, marks picked from it give the camera's pose, and distances come out right."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.ground import Mark, MarksFile, pose_from_marks
from pipeline.geometry import CameraPose, RoadView
from pipeline.geometry.camera_model import CameraModel

pytestmark = pytest.mark.data


def stereo_road(folder: Path, name: str) -> tuple[CameraModel, np.ndarray, np.ndarray]:
    """Camera, (N, 2) pixels on the road ahead, and the (N, 3) points of the camera frame that stereo sees there."""
    left_matrix, right_matrix = np.loadtxt(folder / "calib.txt").reshape(2, 3, 4)
    left, right = (cv2.imread(str(folder / side / name), cv2.IMREAD_GRAYSCALE) for side in ("image_l", "image_r"))
    matcher = cv2.StereoSGBM.create(0, 96, 5, 200, 800, 1, 63, 10, 100, 2)
    disparity = matcher.compute(left, right) / 16.0
    height, width = left.shape
    camera = CameraModel.from_opencv(left_matrix[:, :3], (), (height, width))
    rows, columns = np.mgrid[int(0.6 * height) : height - 5 : 3, int(0.3 * width) : int(0.7 * width) : 3]
    rows, columns = rows.ravel(), columns.ravel()
    seen = disparity[rows, columns] > 3.0
    rows, columns = rows[seen], columns[seen]
    pixels = np.stack([columns, rows], axis=1) + 0.5
    rays = camera.camera_from_image(pixels)
    depth = (left_matrix[0, 3] - right_matrix[0, 3]) / disparity[rows, columns]
    points = rays * (depth / rays[:, 2])[:, None]
    on_road = _on_main_plane(points)
    return camera, pixels[on_road], points[on_road]


def _on_main_plane(points: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    best = np.zeros(len(points), bool)
    for _ in range(200):
        first, second, third = points[rng.choice(len(points), 3, replace=False)]
        normal = np.cross(second - first, third - first)
        normal /= np.linalg.norm(normal) + 1e-12
        near = np.abs((points - first) @ normal) < 0.02 + 0.002 * points[:, 2]
        if abs(normal[1]) > 0.9 and near.sum() > best.sum():
            best = near
    return best


def plane_pose(points: np.ndarray) -> CameraPose:
    """The pose over the plane that fits the points best: what stereo alone says."""
    middle = points.mean(axis=0)
    normal = np.linalg.svd(points - middle, full_matrices=False)[2][2]
    up = -normal * np.sign(normal[1])
    return CameraPose(-middle @ up, float(np.arcsin(-up[2])), float(np.arctan2(-up[0], -up[1])))


@pytest.mark.parametrize("name", ["000000.png", "000020.png", "000040.png"])
def test_distances_on_a_real_road(driving_data: Path, name: str):
    camera, pixels, points = stereo_road(driving_data / "kitti_stereo" / "seq1", name)
    stereo = plane_pose(points)
    road = points @ stereo.camera_from_road_rotation
    near = np.flatnonzero((road[:, 0] > 6.0) & (road[:, 0] < 16.0))
    picked = np.random.default_rng(4).choice(near, 20, replace=False)
    marks = tuple(Mark(tuple(pixels[i].tolist()), tuple(road[i, :2].tolist())) for i in picked)
    content = MarksFile(size_hw=camera.size_hw, pixel_std_px=0.5, metre_std_m=0.1, marks=marks)
    fit = pose_from_marks(camera, content)

    assert fit.pose.height_m == pytest.approx(1.65, abs=0.1)  # As the data set's makers say.
    assert np.degrees(fit.pose.pitch_rad - stereo.pitch_rad) == pytest.approx(0.0, abs=0.3)
    view = RoadView(camera, fit.pose, fit.covariance)
    for nearest_m, farthest_m in ((10.0, 15.0), (15.0, 20.0), (20.0, 30.0)):
        there = (road[:, 0] > nearest_m) & (road[:, 0] < farthest_m)
        told = np.linalg.norm(view.road_from_image(pixels[there]), axis=1)
        true = np.linalg.norm(road[there, :2], axis=1)
        assert np.median(np.abs(told / true - 1.0)) < 0.05
