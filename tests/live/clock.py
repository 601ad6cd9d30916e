"""A clock that a machine reads: milliseconds of CLOCK_MONOTONIC, drawn into a picture as large blocks.

All processes of a machine share that clock, so the age of a picture is what the clock says now less what its pixels
say, whatever lies between: encoder, network, decoder, channels. 48 blocks, black or white, each a twentieth of the
width: 32 bits of time and a CRC-16 of them, which no black, grey or half-decoded picture passes by chance.

Drawing needs nothing but Python, because the RTSP server runs without this project's environment.
"""

from __future__ import annotations

import binascii
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["age_ms", "draw", "draw_on", "now_ms", "read"]

_COLUMNS, _ROWS = 16, 3
_WRAP_MS = 1 << 32
_BLACK, _WHITE = 16, 235
_LEAST_CONTRAST = 60


def now_ms() -> int:
    """Milliseconds of the machine's monotonic clock, modulo 2**32 (49 days)."""
    return time.monotonic_ns() // 1_000_000 % _WRAP_MS


def age_ms(picture_ms: int) -> int:
    """How long ago a clock said so."""
    return (now_ms() - picture_ms) % _WRAP_MS


def _bits(ms: int) -> list[int]:
    """The 48 bits that stand for a time: itself, then its CRC-16 (CCITT, from 0xFFFF so that zeros do not pass)."""
    code = ms << 16 | binascii.crc_hqx(ms.to_bytes(4, "big"), 0xFFFF)
    return [code >> (47 - position) & 1 for position in range(48)]


def draw(luma: bytearray, width: int, ms: int) -> None:
    """Draw a time into the top left of a luma plane whose rows are `width` bytes, without gaps."""
    cell, bits = width // 20, _bits(ms)
    for row in range(_ROWS):
        line = b"".join(
            bytes([_WHITE if bit else _BLACK]) * cell for bit in bits[row * _COLUMNS : (row + 1) * _COLUMNS]
        )
        for y in range(cell + row * cell, 2 * cell + row * cell):
            luma[y * width + cell : y * width + cell + len(line)] = line


def draw_on(image: NDArray[np.uint8], ms: int) -> None:
    """Draw a time into the top left of a BGR picture, (H, W, 3) uint8."""
    import numpy as np

    cell = image.shape[1] // 20
    blocks = np.where(np.reshape(_bits(ms), (_ROWS, _COLUMNS)), np.uint8(_WHITE), np.uint8(_BLACK))
    image[cell : cell * (1 + _ROWS), cell : cell * (1 + _COLUMNS)] = np.kron(blocks, np.ones((cell, cell), np.uint8))[
        ..., None
    ]


def read(image: NDArray[np.uint8]) -> int | None:
    """The time that a decoded BGR picture shows, (H, W, 3) uint8 and at least 320 wide; None where none can be read."""
    import numpy as np

    cell = image.shape[1] // 20
    if cell * (1 + _ROWS) > image.shape[0]:
        return None
    field = image[cell : cell * (1 + _ROWS), cell : cell * (1 + _COLUMNS)].mean(axis=2)
    margin = cell // 4
    blocks = field.reshape(_ROWS, cell, _COLUMNS, cell)[:, margin : cell - margin, :, margin : cell - margin]
    levels = blocks.mean(axis=(1, 3)).ravel()
    if np.ptp(levels) < _LEAST_CONTRAST:
        return None
    code = 0
    for level in levels:
        code = code << 1 | int(level > (_BLACK + _WHITE) / 2)
    ms, checksum = code >> 16, code & 0xFFFF
    return ms if binascii.crc_hqx(ms.to_bytes(4, "big"), 0xFFFF) == checksum else None
