"""The clock in the picture survives what a cheap camera does to it, and nothing else passes for a clock."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.live import clock

SIZES_HW = [(180, 320), (240, 320), (360, 640), (544, 960), (720, 1280)]


def street(size_hw: tuple[int, int], seed: int) -> np.ndarray:
    """Something with edges and texture, which takes bits away from the clock."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 255, (9, 16, 3), np.uint8)
    image = cv2.resize(coarse, size_hw[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.add(image, generator.integers(0, 25, image.shape, np.uint8))


def through_h264(pictures: list[np.ndarray], bits_a_second: int) -> list[np.ndarray]:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = pictures[0].shape[:2]
    encoder.pix_fmt, encoder.framerate, encoder.bit_rate = "yuv420p", 25, bits_a_second  # type: ignore[assignment]
    encoder.options = {"tune": "zerolatency", "preset": "ultrafast"}
    decoder = av.CodecContext.create("h264", "r")
    packets = [
        packet for picture in pictures for packet in encoder.encode(av.VideoFrame.from_ndarray(picture, "bgr24"))
    ]
    frames = [frame for packet in [*packets, *encoder.encode(None)] for frame in decoder.decode(packet)]
    return [frame.to_ndarray(format="bgr24") for frame in [*frames, *decoder.decode(None)]]


@given(ms=st.integers(0, 2**32 - 1), size_hw=st.sampled_from(SIZES_HW))
def test_both_ways_of_drawing_are_read_back(ms: int, size_hw: tuple[int, int]):
    height, width = size_hw
    image = np.full((height, width, 3), 114, np.uint8)
    clock.draw_on(image, ms)
    luma = bytearray(b"\x72" * (height * width))
    clock.draw(luma, width, ms)
    assert clock.read(image) == ms
    assert np.array_equal(np.frombuffer(luma, np.uint8).reshape(height, width), image[..., 0])


@settings(max_examples=12, deadline=None)
@given(
    times_ms=st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=6),
    size_hw=st.sampled_from(SIZES_HW),
    seed=st.integers(0, 99),
)
def test_it_survives_h264_at_a_low_bit_rate(times_ms: list[int], size_hw: tuple[int, int], seed: int):
    pictures = []
    for ms in times_ms:
        image = street(size_hw, seed)
        clock.draw_on(image, ms)
        pictures.append(image)
    assert [clock.read(image) for image in through_h264(pictures, 300_000)] == times_ms


@pytest.mark.parametrize("quality", [30, 80])
def test_it_survives_jpeg(quality: int):
    image = street((360, 640), 1)
    clock.draw_on(image, 123_456_789)
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    assert clock.read(cv2.imdecode(coded, cv2.IMREAD_COLOR)) == 123_456_789


@given(level=st.integers(0, 255), seed=st.integers(0, 2**16))
def test_pictures_without_a_clock_are_not_read(level: int, seed: int):
    assert clock.read(np.full((180, 320, 3), level, np.uint8)) is None
    assert clock.read(street((180, 320), seed)) is None


@given(first=st.integers(0, 2**32 - 1), later=st.integers(1, 60_000), rows=st.integers(1, 2))
def test_half_of_an_old_picture_under_a_new_one_is_not_read(first: int, later: int, rows: int):
    old, new = (np.full((180, 320, 3), 114, np.uint8) for _ in range(2))
    clock.draw_on(old, first)
    clock.draw_on(new, (first + later) % 2**32)
    seam = 16 * (1 + rows)
    mixed = np.concatenate([new[:seam], old[seam:]])
    assert clock.read(mixed) in {None, clock.read(old), clock.read(new)}


def test_age_is_what_the_clock_says_now_less_what_it_said():
    assert 0 <= clock.age_ms(clock.now_ms()) < 1000
