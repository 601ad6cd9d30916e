"""The tint kernel against the overlay's own loop, bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.classes import CITYSCAPES
from engines.kernels import Tint
from tests.engines.kernels.host import HostKernels
from tests.engines.kernels.overlay_tint import tinted_by_overlay


@settings(max_examples=40, deadline=None)
@given(size=st.tuples(st.integers(1, 50), st.integers(1, 50)), padding=st.integers(0, 3), seed=st.integers(0, 999))
def test_tints_as_the_overlay_does(host_kernels: HostKernels, size: tuple[int, int], padding: int, seed: int):
    noise = np.random.default_rng(seed)
    image = noise.integers(0, 256, (size[0], size[1] + padding, 3), np.uint8)[:, : size[1]]
    class_ids = noise.integers(0, len(CITYSCAPES) + 2, size, np.uint8)  # two that no class has stay clear
    opacities = noise.random(len(CITYSCAPES)).tolist()
    expected = tinted_by_overlay(image, class_ids, opacities)
    actual = host_kernels.tint(Tint(CITYSCAPES, opacities, size), image, class_ids)
    np.testing.assert_array_equal(actual, expected)
