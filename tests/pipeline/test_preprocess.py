"""The fused preprocessing against plain NumPy: resize, convert, normalise, one after the other."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.base import ModelSpec
from pipeline.preprocess import Preprocessor
from pipeline.scene import Frame, YuvPlanes

MEAN, STD = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)


def spec(size_hw: tuple[int, int], color_order: str = "rgb", batch: int = 1) -> ModelSpec:
    height, width = size_hw
    return ModelSpec(
        "test", Path("test.onnx"), (batch, 3, height, width), (batch, 11, height // 4, width // 4),
        MEAN, STD, color_order, (),  # type: ignore[arg-type]
    )  # fmt: skip


def bgr_frame(image: np.ndarray) -> Frame:
    return Frame(0, 0.0, 0.0, image.shape[:2], image.copy)


def yuv_frame(planes: YuvPlanes) -> Frame:
    def never() -> np.ndarray:
        raise AssertionError("nobody needs the picture")

    return Frame(0, 0.0, 0.0, planes.y.shape, never, planes=planes)


def reference_of_bgr(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    rgb = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA)[:, :, ::-1].astype(np.float64)
    return ((rgb - MEAN) / STD).transpose(2, 0, 1)


def reference_of_yuv(planes: YuvPlanes) -> np.ndarray:
    """Equations of BT.601-7 and BT.709-6, written out, for planes that all have the network's size."""
    kr, kb = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}[planes.matrix]
    y, cb, cr = (plane.astype(np.float64) for plane in (planes.y, planes.u, planes.v))
    if planes.full_range:
        luma, cb, cr = y / 255, (cb - 128) / 255, (cr - 128) / 255
    else:
        luma, cb, cr = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    rgb = np.clip(np.stack([red, green, blue], axis=2) * 255, 0, 255)
    return ((rgb - MEAN) / STD).transpose(2, 0, 1)


def test_a_bgr_picture_is_resized_and_normalised():
    image = np.random.default_rng(0).integers(0, 256, (72, 128, 3), np.uint8)
    tensor = Preprocessor(spec((36, 64))).prepare([bgr_frame(image)])
    np.testing.assert_allclose(tensor[0], reference_of_bgr(image, (36, 64)), atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    matrix=st.sampled_from(["bt601", "bt709"]),
    full_range=st.booleans(),
    color_order=st.sampled_from(["rgb", "bgr"]),
    seed=st.integers(0, 1000),
)
def test_planes_become_the_colours_of_the_standard(matrix: str, full_range: bool, color_order: str, seed: int):
    noise = np.random.default_rng(seed)
    # Chroma planes of the network's own size: no resizing, so that only the conversion is compared.
    planes = YuvPlanes(*(noise.integers(0, 256, (16, 24), np.uint8) for _ in range(3)), matrix, full_range)  # type: ignore[arg-type]
    expected = reference_of_yuv(planes)
    if color_order == "bgr":  # mean and std are given in the model's own order
        red, green, blue = expected * np.reshape(STD, (3, 1, 1)) + np.reshape(MEAN, (3, 1, 1))
        expected = (np.stack([blue, green, red]) - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    tensor = Preprocessor(spec((16, 24), color_order)).prepare([yuv_frame(planes)])
    np.testing.assert_allclose(tensor[0], expected, atol=2e-3)


def test_planes_and_picture_give_nearly_the_same_tensor():
    smooth = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 256, (90, 160, 3), np.uint8), (0, 0), 6)
    i420 = cv2.cvtColor(smooth, cv2.COLOR_BGR2YUV_I420)
    y, chroma = i420[:90], i420[90:].reshape(2, 45, 80)
    planes = YuvPlanes(y, chroma[0], chroma[1], "bt601", full_range=False)
    from_planes = Preprocessor(spec((44, 80))).prepare([yuv_frame(planes)]).copy()
    from_picture = Preprocessor(spec((44, 80))).prepare([bgr_frame(smooth)])
    assert np.abs(from_planes - from_picture).max() * 58 < 6  # of 255


def test_another_aspect_ratio_fills_from_the_top_left_and_leaves_the_rest_at_the_mean():
    preprocessor = Preprocessor(spec((40, 80)))
    tensor = preprocessor.prepare([bgr_frame(np.full((100, 100, 3), 255, np.uint8))])
    assert preprocessor.content_size_hw((100, 100)) == (40, 40)
    assert (tensor[0, :, :, :40] > 1).all()
    assert (tensor[0, :, :, 40:] == 0).all()
    assert preprocessor.content_of(np.zeros((11, 10, 20), np.float32), (100, 100)).shape == (11, 10, 10)


def test_frames_of_changing_sizes_leave_nothing_behind():
    preprocessor = Preprocessor(spec((40, 80)))
    preprocessor.prepare([bgr_frame(np.full((50, 100, 3), 255, np.uint8))])
    tensor = preprocessor.prepare([bgr_frame(np.full((100, 100, 3), 255, np.uint8))])
    assert (tensor[0, :, :, 40:] == 0).all()


@pytest.mark.parametrize("size_hw", [(360, 640), (240, 320), (512, 1024), (1080, 1920)])
def test_a_size_chosen_for_the_recording_is_filled_entirely(size_hw: tuple[int, int]):
    chosen = (size_hw[0] // 8 * 4, size_hw[1] // 8 * 4)
    assert Preprocessor(spec(chosen)).content_size_hw(size_hw) == chosen


def test_every_frame_has_its_own_place_in_the_batch():
    preprocessor = Preprocessor(spec((16, 24), batch=3))
    frames = [bgr_frame(np.full((16, 24, 3), level, np.uint8)) for level in (50, 100, 200)]
    tensor = preprocessor.prepare(frames)
    assert tensor.shape == (3, 3, 16, 24)
    for entry, frame in zip(tensor, frames, strict=True):
        alone = Preprocessor(spec((16, 24))).prepare([frame])
        np.testing.assert_array_equal(entry, alone[0])
    assert preprocessor.prepare(frames[:2]).shape == (2, 3, 16, 24)
