"""The compiled kernels of the road give what the same formulas on whole arrays give."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.geometry import CameraModel, CameraPose, RoadView
from pipeline.geometry.projection import distance_and_std, pixel_of_road, road_of_pixel
from pipeline.postprocess import encode_runs, find_drivable
from pipeline.road import clear_distance, find_corridor, free_space
from pipeline.scene import Frame, Scene, Segmentation
from tests.pipeline.road import reference

SIZE_HW = (180, 320)
LENSES = {
    "pinhole": ((), False),
    "barrel": ((-0.24, 0.06, 0.001, -0.002, 0.003), False),
    "rational": ((-0.2, 0.05, 0.0, 0.001, 0.01, 0.02, 0.01, 0.0), False),
    "fisheye": ((0.02, -0.01, 0.003, -0.001), True),
}


def make_view(lens: str, height_m: float, pitch: float, roll: float, yaw: float) -> RoadView:
    distortion, fisheye = LENSES[lens]
    camera = CameraModel(SIZE_HW, 250.0, 246.0, 163.0, 88.0, distortion, fisheye)
    covariance = np.array([[4e-4, 1e-6, 0.0], [1e-6, 4e-6, -2e-7], [0.0, -2e-7, 1e-6]])
    return RoadView(camera, CameraPose(height_m, pitch, roll, yaw), covariance)


views = st.builds(
    make_view,
    st.sampled_from(list(LENSES)),
    st.floats(0.8, 3.0),
    st.floats(-0.05, 0.25),
    st.floats(-0.06, 0.06),
    st.floats(-0.1, 0.1),
)


@given(view=views, seed=st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_points_are_projected_as_the_view_projects_them(view: RoadView, seed: int):
    generator = np.random.default_rng(seed)
    road = generator.uniform((-3.0, -30.0), (90.0, 30.0), (40, 2))
    ours = np.array([pixel_of_road(view.packed, *point) for point in road])
    np.testing.assert_allclose(ours, view.image_from_road(road), rtol=1e-9, atol=1e-7)
    pixels = generator.uniform((-20.0, -20.0), (340.0, 200.0), (40, 2))
    ours = np.array([road_of_pixel(view.packed, *pixel) for pixel in pixels])
    theirs = view.road_from_image(pixels)
    near = ~(np.linalg.norm(theirs, axis=1) > 500.0)  # Closer to the horizon the last digit decides.
    np.testing.assert_allclose(ours[near], theirs[near], rtol=1e-6)
    stds = np.array([distance_and_std(view.packed, *pixel, 1.5)[3] for pixel in pixels])
    np.testing.assert_allclose(stds[near], view.distance_std_m(pixels, 1.5)[near], rtol=1e-4)


def street(generator: np.random.Generator, view: RoadView) -> Scene:
    """A bent road with ragged borders, blocked here and there."""
    height, width = SIZE_HW
    rows, columns = np.mgrid[:height, :width] + 0.5
    road = view.road_from_image(np.stack([columns.ravel(), rows.ravel()], axis=1)).reshape(height, width, 2)
    bend, slope, left, right = generator.uniform((-0.01, -0.05, 1.5, 1.5), (0.01, 0.05, 6.0, 6.0))
    with np.errstate(invalid="ignore"):
        off = road[..., 1] - slope * road[..., 0] - 0.5 * bend * road[..., 0] ** 2
        mask = (off < left) & (off > -right) & (road[..., 0] < generator.uniform(20.0, 200.0))
    for _ in range(generator.integers(0, 5)):
        top, start = generator.integers(height // 3, height), generator.integers(0, width)
        mask[top : top + generator.integers(1, 30), start : start + generator.integers(1, 60)] = False
    drivable = find_drivable(encode_runs(np.where(mask, 0, 1).astype(np.uint8)), 0, (1,))
    frame = Frame(0, 0.0, 0.0, SIZE_HW, lambda: np.zeros((*SIZE_HW, 3), np.uint8))
    return Scene(frame, Segmentation(mask.astype(np.uint8), (), np.ones((4, 4), np.float32)), drivable, ())


@given(view=views, seed=st.integers(0, 2**31), from_m=st.sampled_from([0.0, 6.0]))
@settings(max_examples=80, deadline=None)
def test_the_road_is_the_one_that_plain_arrays_give(view: RoadView, seed: int, from_m: float):
    scene = street(np.random.default_rng(seed), view)
    ours, theirs = find_corridor(scene, view, 1.2), reference.find_corridor(scene, view, 1.2)
    if math.isfinite(theirs.slope):  # A border point above the horizon spoils all of the plain one.
        assert ours.slope == pytest.approx(theirs.slope, abs=1e-6)
        assert ours.curvature_1_m == pytest.approx(theirs.curvature_1_m, abs=1e-7)
        np.testing.assert_allclose(ours.covariance, theirs.covariance, rtol=1e-4, atol=1e-12)
    clear = clear_distance(scene, view, ours, from_m=from_m)
    plain = reference.clear_distance(scene, view, ours, from_m=from_m)
    assert (clear.is_open, clear.place_px is None) == (plain.is_open, plain.place_px is None)
    assert clear.distance_m == pytest.approx(plain.distance_m, rel=1e-9)
    assert clear.std_m == pytest.approx(plain.std_m, rel=1e-4, nan_ok=True)
    if clear.place_px is not None:
        assert clear.place_px == pytest.approx(plain.place_px, abs=1e-6)
    space, plain_space = free_space(scene, view), reference.free_space(scene, view)
    near = ~((plain_space.distance_m > 500.0) & np.isfinite(plain_space.distance_m))
    np.testing.assert_allclose(space.distance_m[near], plain_space.distance_m[near], rtol=1e-6)
    np.testing.assert_allclose(space.ends_m[near], plain_space.ends_m[near], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(space.distance_std_m[near], plain_space.distance_std_m[near], rtol=1e-4)
