"""Image-sized results without the price of fresh memory."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

__all__ = ["ImagePool"]


class ImagePool:
    """Hands out (H, W) uint8 arrays, and one again only when nobody holds it or a view of it any more.

    A new array of a million pixels costs a page fault per 4 KiB when it is first written, several times what the
    writing costs. A scene is held by any number of sinks and threads for any length of time, so a ring of buffers
    would not be safe; the interpreter's own reference count is. Views count: they refer to the array they are of.
    """

    def __init__(self, size_hw: tuple[int, int], limit: int = 16) -> None:
        """Prepare an empty pool.

        Args:
            size_hw: (H, W) of the arrays.
            limit: Most arrays to keep. When all of them are held, further ones are new and not kept.
        """
        self.size_hw = size_hw
        self._limit = limit
        self._images: list[NDArray[np.uint8]] = []

    def take(self) -> NDArray[np.uint8]:
        """An array that nobody else holds, with whatever was left in it."""
        for index in range(len(self._images)):
            if _holders(self._images, index) == _ONLY_THE_LIST:
                return self._images[index]
        image = np.empty(self.size_hw, np.uint8)
        if len(self._images) < self._limit:
            self._images.append(image)
        return image


def _holders(images: list[NDArray[np.uint8]], index: int) -> int:
    return sys.getrefcount(images[index])


# The call itself may or may not hold a reference, depending on the interpreter: measured rather than assumed.
_ONLY_THE_LIST = _holders([np.empty((1, 1), np.uint8)], 0)
