"""The tint kernel against the overlay's own loop, bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.classes import CITYSCAPES
from engines.kernels import Tint
from pipeline.overlay.kernels import tint_scene
from tests.engines.kernels.host import HostKernels


@settings(max_examples=40, deadline=None)
@given(size=st.tuples(st.integers(1, 50), st.integers(1, 50)), padding=st.integers(0, 3), seed=st.integers(0, 999))
def test_tints_as_the_overlay_does(host_kernels: HostKernels, size: tuple[int, int], padding: int, seed: int):
    noise = np.random.default_rng(seed)
    image = noise.integers(0, 256, (size[0], size[1] + padding, 3), np.uint8)[:, : size[1]]
    class_ids = noise.integers(0, len(CITYSCAPES) + 2, size, np.uint8)  # two that no class has stay clear
    opacities = noise.random(len(CITYSCAPES)).tolist()
    expected = np.empty((*size, 3), np.uint8)
    keep, tint = np.full(256, 256, np.uint16), np.zeros((256, 3), np.uint16)
    for index, entry in enumerate(CITYSCAPES):
        share = round(opacities[index] * 256)
        keep[index], tint[index] = 256 - share, np.array(entry.color_rgb[::-1]) * share
    no_road = (np.zeros(size, np.uint8), keep, tint, np.zeros((size[0], 3), np.uint16), np.zeros(size[0], np.uint16))
    tint_scene(np.ascontiguousarray(image), class_ids, *no_road, expected)
    actual = host_kernels.tint(Tint(CITYSCAPES, opacities, size), image, class_ids)
    np.testing.assert_array_equal(actual, expected)
