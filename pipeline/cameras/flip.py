"""Cameras that hang upside down, or look into a mirror."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.cameras.address import Flip
from pipeline.scene import Frame

__all__ = ["turned"]

Turn = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]

_TURNS: dict[Flip, Turn] = {
    "rotate-180": lambda array: _array(cv2.rotate(array, cv2.ROTATE_180)),
    "clockwise": lambda array: _array(cv2.rotate(array, cv2.ROTATE_90_CLOCKWISE)),
    "counterclockwise": lambda array: _array(cv2.rotate(array, cv2.ROTATE_90_COUNTERCLOCKWISE)),
    "horizontal": lambda array: _array(cv2.flip(array, 1)),
    "vertical": lambda array: _array(cv2.flip(array, 0)),
}


def turned(frame: Frame, flip: Flip) -> Frame:
    """The frame as it would look if the camera were mounted the usual way.

    Args:
        frame: Any; its planes are turned now (half the bytes of a picture), its BGR picture when it is made.
        flip: How to turn it; "horizontal" swaps left and right.
    """
    turn = _TURNS.get(flip)
    if turn is None:
        return frame
    to_bgr, planes, (height, width) = frame.to_bgr, frame.planes, frame.size_hw
    if planes is not None:
        planes = dataclasses.replace(planes, y=turn(planes.y), u=turn(planes.u), v=turn(planes.v))
    return dataclasses.replace(
        frame,
        to_bgr=lambda: turn(to_bgr()),
        planes=planes,
        view=None,
        size_hw=(width, height) if flip in {"clockwise", "counterclockwise"} else (height, width),
    )


def _array(turned_array: object) -> NDArray[np.uint8]:
    return np.asarray(turned_array, np.uint8)
