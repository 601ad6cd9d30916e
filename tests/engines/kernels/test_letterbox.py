"""The letterbox kernel against the CPU path: the same 8-bit samples, and tensors that differ by rounding only."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.base import ModelSpec
from engines.kernels import Letterbox, PictureFormat
from engines.kernels.sampling import Mode, resample
from pipeline.preprocess import Preprocessor
from pipeline.scene import Frame, YuvPlanes
from pipeline.sources import open_source
from tests.engines.kernels.host import HostKernels

MEAN, STD = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)
F32_TOLERANCE = 1e-5
"""Of a normalised value. The CPU path lets its compiler reorder and contract three products."""
# Half precision: its nearest neighbour, half a unit in the last place of 10 bits; twice, where F32_TOLERANCE tips it.
F16_TOLERANCE = 2.0**-10

sizes = st.integers(1, 90)
target_steps = st.integers(1, 12)


def spec(input_size_hw: tuple[int, int], color_order: Literal["rgb", "bgr"] = "rgb") -> ModelSpec:
    height, width = input_size_hw
    shape = (1, 3, height, width)
    return ModelSpec("t", Path("t.onnx"), shape, (1, 5, height // 4, width // 4), MEAN, STD, color_order, ())


def cpu_tensor(frame: Frame, model: ModelSpec) -> NDArray[np.float32]:
    return Preprocessor(model).prepare([frame])[0]


def kernel_tensor(
    kernels: HostKernels, picture: PictureFormat, buffer: NDArray[np.uint8], model: ModelSpec, half: bool = False
) -> NDArray[np.floating]:
    content_hw = Preprocessor(model).content_size_hw(picture.size_hw)
    plan = Letterbox(picture, model.input_size_hw, content_hw, MEAN, STD, model.color_order, half)
    out = np.full(model.input_shape[1:], np.nan, np.float16 if half else np.float32)
    kernels.letterbox(plan, buffer, out)
    return out


def bgr_frame(image: NDArray[np.uint8]) -> Frame:
    return Frame(0, 0.0, 0.0, image.shape[:2], image.copy)


def yuv_frame(planes: YuvPlanes) -> Frame:
    return Frame(0, 0.0, 0.0, planes.y.shape, lambda: np.empty(0, np.uint8), planes=planes)


def random_planes(seed: int, size_hw: tuple[int, int], matrix: str, full_range: bool) -> YuvPlanes:
    noise = np.random.default_rng(seed)
    chroma_hw = ((size_hw[0] + 1) // 2, (size_hw[1] + 1) // 2)
    y, u, v = (noise.integers(0, 256, hw, np.uint8) for hw in (size_hw, chroma_hw, chroma_hw))
    return YuvPlanes(y, u, v, matrix, full_range)  # type: ignore[arg-type]


def assert_close(actual: NDArray[np.floating], expected: NDArray[np.float32]) -> None:
    if actual.dtype == np.float16:
        np.testing.assert_allclose(actual.astype(np.float32), expected, rtol=F16_TOLERANCE, atol=F32_TOLERANCE)
    else:
        np.testing.assert_allclose(actual, expected, rtol=0, atol=F32_TOLERANCE)


def resized_by_kernel(kernels: HostKernels, image: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """The kernel with a normalisation that changes nothing: what it samples, as (H, W, 3) BGR."""
    buffer = np.ascontiguousarray(image).reshape(-1)
    plan = Letterbox(PictureFormat("bgr", image.shape[:2]), size_hw, size_hw, (0, 0, 0), (1, 1, 1), "bgr")
    out = np.empty((3, *size_hw), np.float32)
    kernels.letterbox(plan, buffer, out)
    return out.transpose(1, 2, 0).astype(np.uint8)


@settings(max_examples=300, deadline=None)
@given(source=st.tuples(sizes, sizes), target=st.tuples(sizes, sizes), seed=st.integers(0, 999))
def test_samples_are_those_of_opencv_bit_for_bit(
    host_kernels: HostKernels, source: tuple[int, int], target: tuple[int, int], seed: int
):
    image = np.random.default_rng(seed).integers(0, 256, (*source, 3), np.uint8)
    averaged = max(source[0] / target[0], source[1] / target[1]) >= 2
    interpolation = cv2.INTER_AREA if averaged else cv2.INTER_LINEAR
    expected = cv2.resize(image, target[::-1], interpolation=interpolation)
    np.testing.assert_array_equal(resized_by_kernel(host_kernels, image, target), expected)


@settings(max_examples=60, deadline=None)
@given(
    target=st.tuples(target_steps, target_steps),
    factors=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    seed=st.integers(0, 999),
)
def test_whole_factors_too(host_kernels: HostKernels, target: tuple[int, int], factors: tuple[int, int], seed: int):
    source = (target[0] * factors[0], target[1] * factors[1])
    image = np.random.default_rng(seed).integers(0, 256, (*source, 3), np.uint8)
    interpolation = cv2.INTER_AREA if max(factors) >= 2 else cv2.INTER_LINEAR
    expected = cv2.resize(image, target[::-1], interpolation=interpolation)
    np.testing.assert_array_equal(resized_by_kernel(host_kernels, image, target), expected)


@pytest.mark.parametrize(
    ("source", "target", "mode"),
    [
        ((720, 1280), (360, 640), Mode.WHOLE),
        ((1080, 1920), (360, 640), Mode.WHOLE),
        ((540, 960), (360, 640), Mode.LINEAR),
        ((360, 640), (360, 640), Mode.LINEAR),
        ((1200, 1920), (360, 576), Mode.AREA),
        ((100, 9), (40, 10), Mode.LINEAR),
    ],
)
def test_every_way_of_sampling_is_met(
    host_kernels: HostKernels, source: tuple[int, int], target: tuple[int, int], mode: Mode
):
    assert resample(source, target).mode == mode
    image = np.random.default_rng(0).integers(0, 256, (*source, 3), np.uint8)
    averaged = max(source[0] / target[0], source[1] / target[1]) >= 2
    expected = cv2.resize(image, target[::-1], interpolation=cv2.INTER_AREA if averaged else cv2.INTER_LINEAR)
    np.testing.assert_array_equal(resized_by_kernel(host_kernels, image, target), expected)


@settings(max_examples=80, deadline=None)
@given(
    source=st.tuples(sizes, sizes),
    target=st.tuples(target_steps, target_steps),
    layout=st.sampled_from(["bgr", "i420", "nv12"]),
    matrix=st.sampled_from(["bt601", "bt709"]),
    full_range=st.booleans(),
    color_order=st.sampled_from(["rgb", "bgr"]),
    half=st.booleans(),
    padding=st.integers(0, 5),
    seed=st.integers(0, 999),
)
def test_tensors_are_those_of_the_cpu_path(
    host_kernels: HostKernels,
    source: tuple[int, int],
    target: tuple[int, int],
    layout: Literal["bgr", "i420", "nv12"],
    matrix: Literal["bt601", "bt709"],
    full_range: bool,
    color_order: Literal["rgb", "bgr"],
    half: bool,
    padding: int,
    seed: int,
):
    model = spec((target[0] * 4, target[1] * 4), color_order)
    if layout == "bgr":
        image = np.random.default_rng(seed).integers(0, 256, (*source, 3), np.uint8)
        samples, expected = (image,), cpu_tensor(bgr_frame(image), model)
    else:
        planes = random_planes(seed, source, matrix, full_range)
        samples, expected = (planes.y, planes.u, planes.v), cpu_tensor(yuv_frame(planes), model)
    pitch = 3 * source[1] + padding if layout == "bgr" else source[1] + source[1] % 2 + padding
    picture = PictureFormat(layout, source, pitch if padding else 0, 0, matrix, full_range)
    buffer = np.zeros(picture.nbytes, np.uint8)
    picture.pack(samples, buffer)
    assert_close(kernel_tensor(host_kernels, picture, buffer, model, half), expected)


def test_what_the_picture_does_not_fill_is_zero(host_kernels: HostKernels):
    model = spec((40, 80))
    picture = PictureFormat("bgr", (100, 100))
    out = kernel_tensor(host_kernels, picture, np.full(picture.nbytes, 255, np.uint8), model)
    assert (out[:, :, :40] > 1).all()
    assert (out[:, :, 40:] == 0).all()


def test_a_batch_entry_leaves_its_neighbours_alone(host_kernels: HostKernels):
    picture = PictureFormat("bgr", (8, 8))
    plan = Letterbox(picture, (8, 8), (8, 8), MEAN, STD, "rgb")
    batch = np.full((3, 3, 8, 8), np.nan, np.float32)
    host_kernels.letterbox(plan, np.full(picture.nbytes, 200, np.uint8), batch[1])
    assert np.isnan(batch[[0, 2]]).all()
    assert np.isfinite(batch[1]).all()


def test_a_decoders_surface_with_aligned_chroma(host_kernels: HostKernels):
    """NVDEC pads rows to a pitch and starts the chroma at an aligned row."""
    planes = random_planes(5, (90, 120), "bt709", False)
    surface = PictureFormat("nv12", (90, 120), pitch=128, chroma_offset=128 * 96)
    buffer = np.full(surface.nbytes, 77, np.uint8)
    surface.pack((planes.y, planes.u, planes.v), buffer)
    model = spec((48, 64))
    assert_close(kernel_tensor(host_kernels, surface, buffer, model), cpu_tensor(yuv_frame(planes), model))


def test_packed_nv12_is_what_a_decoder_makes():
    frame = av.VideoFrame.from_ndarray(
        np.random.default_rng(1).integers(0, 256, (36, 32, 3), np.uint8), format="bgr24"
    ).reformat(format="nv12")
    expected = np.concatenate(
        [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, :32] for plane in frame.planes]
    )
    chroma = expected[36:].reshape(18, 16, 2)
    picture = PictureFormat("nv12", (36, 32))
    buffer = np.zeros(picture.nbytes, np.uint8)
    picture.pack((expected[:36], chroma[:, :, 0], chroma[:, :, 1]), buffer)
    np.testing.assert_array_equal(buffer.reshape(54, 32), expected)


@pytest.mark.data
@pytest.mark.parametrize("clip", ["udacity_solidWhiteRight.mp4", "autoware_highway_1024_512.mp4"])
def test_frames_of_real_drives(host_kernels: HostKernels, driving_data: Path, clip: str):
    source = open_source(str(driving_data / "clips" / clip))
    frame = next(iter(source.frames()))
    source.close()
    assert frame.planes is not None
    model = spec((360, 640))
    samples = (frame.planes.y, frame.planes.u, frame.planes.v)
    for layout in ("i420", "nv12"):
        picture = PictureFormat(layout, frame.size_hw, 0, 0, frame.planes.matrix, frame.planes.full_range)
        buffer = np.zeros(picture.nbytes, np.uint8)
        picture.pack(samples, buffer)
        assert picture.nbytes == frame.size_hw[0] * frame.size_hw[1] * 3 // 2  # half of BGR
        assert_close(kernel_tensor(host_kernels, picture, buffer, model), cpu_tensor(frame, model))


@pytest.mark.parametrize(
    ("layout", "size_hw", "pitch", "chroma_offset"),
    [
        ("bgr", (4, 4), 11, 0),
        ("i420", (4, 4), 3, 0),
        ("nv12", (4, 5), 5, 0),
        ("nv12", (4, 4), 8, 31),
        ("bgr", (0, 4), 0, 0),
    ],
)
def test_formats_that_cannot_be_are_refused(layout: str, size_hw: tuple[int, int], pitch: int, chroma_offset: int):
    with pytest.raises(ValueError, match=r"no .* picture is|lies within"):
        PictureFormat(layout, size_hw, pitch, chroma_offset)  # type: ignore[arg-type]


def test_content_larger_than_the_input_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        Letterbox(PictureFormat("bgr", (8, 8)), (8, 8), (9, 8), MEAN, STD, "rgb")
