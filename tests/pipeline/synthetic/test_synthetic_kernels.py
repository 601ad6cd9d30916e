"""The renderer's arithmetic against plain references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.synthetic.camera import SyntheticCamera
from pipeline.synthetic.finish import develop
from pipeline.synthetic.objects import measure_instances
from pipeline.synthetic.roadway import covered, dashed

quick = settings(max_examples=50, deadline=None)
metres = st.floats(-50.0, 50.0)


@quick
@given(position=metres, half=st.floats(0.01, 5.0), middle=metres, width=st.floats(0.05, 5.0))
def test_covered_is_the_share_of_an_interval(position: float, half: float, middle: float, width: float) -> None:
    samples = position + half * (2.0 * (np.arange(20_000) + 0.5) / 20_000 - 1.0)
    expected = np.mean(np.abs(samples - middle) <= 0.5 * width)
    assert covered(position, half, 0.5 / half, middle, width) == pytest.approx(expected, abs=2e-4)


@quick
@given(position=metres, half=st.floats(0.01, 5.0), period=st.floats(0.2, 9.0), duty=st.floats(0.05, 0.95))
def test_dashed_is_the_share_of_a_pattern(position: float, half: float, period: float, duty: float) -> None:
    samples = position + half * (2.0 * (np.arange(20_000) + 0.5) / 20_000 - 1.0)
    expected = np.mean(samples % period < duty * period)
    assert dashed(position, half, 0.5 / half, duty * period, period) == pytest.approx(expected, abs=6e-3)


@quick
@given(seed=st.integers(0, 1000), height=st.integers(1, 9), width=st.integers(3, 40), weight=st.floats(0.0, 0.3))
def test_develop_blurs_and_adds_noise(seed: int, height: int, width: int, weight: float) -> None:
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (height, width, 3), np.uint8)
    out = np.empty_like(image)
    develop(image.reshape(height, -1), np.zeros(500, np.int8), seed, np.float32(weight), out.reshape(height, -1))
    padded = np.pad(image.astype(np.float64), ((1, 1), (1, 1), (0, 0)), mode="edge")
    across = padded[:, 1:-1] + weight * (padded[:, :-2] + padded[:, 2:])
    expected = (across[1:-1] + weight * (across[:-2] + across[2:])) / (1.0 + 2.0 * weight) ** 2
    assert np.abs(out - expected).max() <= 0.51
    loud = np.full(500, 90, np.int8)
    develop(image.reshape(height, -1), loud, seed, np.float32(weight), out.reshape(height, -1))
    assert np.abs(out - np.minimum(expected + 90.0, 255.0)).max() <= 0.51


@quick
@given(seed=st.integers(0, 1000))
def test_instances_are_measured(seed: int) -> None:
    generator = np.random.default_rng(seed)
    ids = generator.choice(np.array([0, 0, 0, 3, 7, 8], np.uint16), (12, 17))
    slots = np.full(9, -1, np.int32)
    slots[[3, 7, 8]] = 0, 1, 2
    table = np.empty((3, 5), np.int32)
    measure_instances(ids, slots, table)
    for identity, row in zip((3, 7, 8), table, strict=True):
        ys, xs = np.nonzero(ids == identity)
        assert row.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1, len(xs)]


@quick
@given(
    pitch=st.floats(-0.1, 0.2), roll=st.floats(-0.1, 0.1), yaw=st.floats(-0.2, 0.2), height=st.floats(0.8, 2.5),
    x=st.floats(5.0, 80.0), y=st.floats(-4.0, 4.0),
)  # fmt: skip
def test_a_road_point_lies_at_the_depth_of_the_road(
    pitch: float, roll: float, yaw: float, height: float, x: float, y: float
) -> None:
    camera = SyntheticCamera(
        fx=500.0, fy=500.0, cx=320.0, cy=180.0, height_m=height, pitch_rad=pitch, roll_rad=roll, yaw_rad=yaw,
        world_x_m=12.0, world_y_m=-3.0, world_heading_rad=0.3, speed_mps=8.0,
    )  # fmt: skip
    point = np.array([[x, y, 0.0]])
    rotation = camera.camera_from_road_rotation
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    column, row = camera.image_from_road(point)[0]
    ray = np.array([(column - 320.0) / 500.0, (row - 180.0) / 500.0, 1.0])
    depth = camera.camera_from_road(point)[0, 2]
    back = rotation.T @ (ray * depth) + [0.0, 0.0, height]
    np.testing.assert_allclose(back, point[0], atol=1e-9)
    world = np.array([[12.0 + np.cos(0.3) * x - np.sin(0.3) * y, -3.0 + np.sin(0.3) * x + np.cos(0.3) * y, 0.0]])
    np.testing.assert_allclose(camera.road_from_world(world), point, atol=1e-9)


def test_pitch_points_down_and_roll_turns_clockwise() -> None:
    level = {"fx": 500.0, "fy": 500.0, "cx": 320.0, "cy": 180.0, "height_m": 1.4, "yaw_rad": 0.0, "world_x_m": 0.0,
             "world_y_m": 0.0, "world_heading_rad": 0.0, "speed_mps": 0.0}  # fmt: skip
    far = np.array([[1e6, 0.0, 0.0]])
    assert SyntheticCamera(pitch_rad=0.05, roll_rad=0.0, **level).image_from_road(far)[0, 1] < 180.0
    left = np.array([[20.0, 5.0, 0.0]])
    upright = SyntheticCamera(pitch_rad=0.0, roll_rad=0.0, **level).image_from_road(left)[0]
    rolled = SyntheticCamera(pitch_rad=0.0, roll_rad=0.02, **level).image_from_road(left)[0]
    # The camera turns clockwise, so what it sees turns anticlockwise: its left side goes down.
    assert rolled[1] > upright[1]
    depth = SyntheticCamera(pitch_rad=0.0, roll_rad=0.0, **level).road_depth_m((360, 640))
    assert np.isinf(depth[:180]).all()
    assert depth[359, 320] == pytest.approx(1.4 * 500.0 / 179.5)
