"""The kernels on a GPU, as machine code and as PTX: what the g++ build of the same files gives, and the CPU path."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest

from engines.classes import CITYSCAPES
from engines.kernels import ClassMapper, PictureFormat, Tint
from tests.engines.kernels.overlay_tint import tinted_by_overlay
from tests.engines.kernels.test_class_map import assert_winners, interpolated, random_logits
from tests.engines.kernels.test_letterbox import (
    assert_close,
    bgr_frame,
    cpu_tensor,
    kernel_tensor,
    random_planes,
    resized_by_kernel,
    spec,
    yuv_frame,
)
from tests.gpu.conftest import GpuKernels

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((720, 1280), (360, 640)),
        ((1080, 1920), (360, 640)),
        ((540, 960), (360, 640)),
        ((360, 640), (360, 640)),
        ((1200, 1920), (360, 576)),
        ((100, 9), (40, 10)),
        ((37, 53), (61, 29)),
        ((1, 1), (7, 5)),
    ],
)
def test_samples_are_those_of_opencv_bit_for_bit(kernels: GpuKernels, source: tuple[int, int], target: tuple[int, int]):
    image = np.random.default_rng(0).integers(0, 256, (*source, 3), np.uint8)
    averaged = max(source[0] / target[0], source[1] / target[1]) >= 2
    expected = cv2.resize(image, target[::-1], interpolation=cv2.INTER_AREA if averaged else cv2.INTER_LINEAR)
    np.testing.assert_array_equal(resized_by_kernel(kernels, image, target), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("layout", ["bgr", "i420", "nv12"])
@pytest.mark.parametrize("size_hw", [(720, 1280), (541, 963), (33, 47)])
def test_tensors_are_those_of_the_cpu_path(
    kernels: GpuKernels, layout: Literal["bgr", "i420", "nv12"], size_hw: tuple[int, int], half: bool
):
    model = spec((360, 640), "bgr" if half else "rgb")
    if layout == "bgr":
        image = np.random.default_rng(1).integers(0, 256, (*size_hw, 3), np.uint8)
        samples, expected = (image,), cpu_tensor(bgr_frame(image), model)
    else:
        planes = random_planes(1, size_hw, "bt709", half)
        samples, expected = (planes.y, planes.u, planes.v), cpu_tensor(yuv_frame(planes), model)
    picture = PictureFormat(layout, size_hw, 0, 0, "bt709", half)
    buffer = np.zeros(picture.nbytes, np.uint8)
    picture.pack(samples, buffer)
    assert_close(kernel_tensor(kernels, picture, buffer, model, half), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("grid", "image"), [((90, 160), (720, 1280)), ((9, 16), (37, 53)), ((30, 40), (15, 20))])
def test_classes_are_the_argmax_of_interpolated_logits(
    kernels: GpuKernels, grid: tuple[int, int], image: tuple[int, int], half: bool
):
    logits = random_logits(3, (11, *grid), half)
    class_ids, confidence = kernels.class_map(ClassMapper(logits.shape, grid, image, half), logits, image)
    assert_winners(class_ids, logits, image)
    values = logits.astype(np.float64)
    np.testing.assert_allclose(confidence, 1 / np.exp(values - values.max(axis=0)).sum(axis=0), rtol=1e-5)


def test_of_equals_the_first_wins(kernels: GpuKernels):
    logits = np.random.default_rng(5).integers(-1, 2, (6, 12, 20)).astype(np.float32)
    class_ids, _ = kernels.class_map(ClassMapper(logits.shape, (12, 20), (24, 40)), logits, (24, 40))
    np.testing.assert_array_equal(class_ids, interpolated(logits, (24, 40)).argmax(axis=0))


def test_tints_as_the_overlay_does(kernels: GpuKernels):
    noise, size = np.random.default_rng(2), (97, 131)
    image, class_ids = noise.integers(0, 256, (*size, 3), np.uint8), noise.integers(0, 19, size, np.uint8)
    opacities = [77 / 256] * len(CITYSCAPES)
    expected = tinted_by_overlay(image, class_ids, opacities)
    actual = kernels.tint(Tint(CITYSCAPES, opacities, size), image, class_ids)
    np.testing.assert_array_equal(actual, expected)
