"""Compressed pictures, as far as a recorder must understand them: where parameter sets stand, and when they change.

H.264 and HEVC come in two wrappings: with start codes ("Annex B" of ITU-T H.264 and H.265: from RTSP and USB cameras)
or with lengths ("avcC" and "hvcC" of ISO/IEC 14496-15: from MP4 files). Everything is brought into the first.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["COPIED_CODECS", "Unwrapper", "parameters_of"]

COPIED_CODECS = {"h264": "h264", "hevc": "hevc", "mjpeg": "mjpeg"}
"""Codec → FFmpeg's name of the format of a bare stream of it: those that are recorded as the camera sends them."""

_START_CODE = b"\x00\x00\x00\x01"
_H264_SETS, _H264_LAST_SLICE = frozenset({7, 8}), 5
_HEVC_SETS, _HEVC_LAST_SLICE = frozenset({32, 33, 34}), 31
"""Kinds of NAL units: parameter sets, and the last that is a slice of a picture."""

_JPEG_SIZES = frozenset({0xC0, 0xC1, 0xC2, 0xC3})
"""Markers of the JPEG headers that carry the size (ITU-T T.81, table B.1), of the processes that cameras use."""


class Unwrapper:
    """Turns a camera's packets into bare pictures that a decoder can begin with at every key frame.

    Args:
        codec: One of `COPIED_CODECS`.
        extradata: The decoder's set-up in either wrapping; may be empty.
    """

    def __init__(self, codec: str, extradata: bytes) -> None:
        self._codec = codec
        self._length_size = 0
        self._sets = b""
        if codec == "h264" and extradata[:1] == b"\x01":
            self._length_size, self._sets = (extradata[4] & 3) + 1, b"".join(_avcc_sets(extradata))
        elif codec == "hevc" and extradata[:1] == b"\x01":
            self._length_size, self._sets = (extradata[21] & 3) + 1, b"".join(_hvcc_sets(extradata))
        elif codec in {"h264", "hevc"}:
            self._sets = extradata

    def bare(self, data: bytes) -> bytes:
        """The picture with start codes.

        Raises:
            ValueError: Its lengths lead beyond its end.
        """
        if not self._length_size:
            return data
        return b"".join(_START_CODE + unit for unit in _units_by_length(data, self._length_size))

    def beginning(self, picture: bytes) -> bytes:
        """A bare key picture with the parameter sets before it, where it does not bring them itself.

        Those that the last one brought are remembered: many encoders send them only with every so many key frames.
        """
        sets = parameters_of(self._codec, picture)
        if sets and self._codec != "mjpeg":
            self._sets = sets
        return picture if sets else self._sets + picture


def parameters_of(codec: str, picture: bytes) -> bytes:
    """The part of a bare key picture that tells its size and coding; two that differ need two segments.

    Returns:
        H.264 and HEVC: its parameter sets, with start codes. MJPEG: the header with the size. Empty where the picture
        does not carry it.
    """
    if codec == "mjpeg":
        return _jpeg_size_header(picture)
    hevc = codec == "hevc"
    sets = b""
    for unit in _units_by_start_code(picture):
        kind = (unit[0] >> 1) & 0x3F if hevc else unit[0] & 0x1F
        if kind in (_HEVC_SETS if hevc else _H264_SETS):
            sets += _START_CODE + unit
        elif kind <= _HEVC_LAST_SLICE if hevc else 1 <= kind <= _H264_LAST_SLICE:
            break
    return sets


def _units_by_start_code(data: bytes) -> Iterator[bytes]:
    """The NAL units of an Annex B stream, one after the other, without start codes and padding."""
    begin = data.find(b"\x00\x00\x01")
    while begin >= 0:
        following = data.find(b"\x00\x00\x01", begin + 3)
        unit = data[begin + 3 : following if following >= 0 else len(data)]
        unit = unit.rstrip(b"\x00") if following >= 0 else unit
        if unit:
            yield unit
        begin = following


def _units_by_length(data: bytes, length_size: int) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        begin = position + length_size
        position = begin + int.from_bytes(data[position:begin], "big")
        if position > len(data) or begin > len(data):
            raise ValueError("a unit of the picture is longer than the picture")
        yield data[begin:position]


def _avcc_sets(record: bytes) -> Iterator[bytes]:
    """Parameter sets of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1), with start codes."""
    position = 5
    for mask in (0x1F, 0xFF):  # The number of sequence parameter sets has 5 bits, that of picture parameter sets 8.
        count, position = record[position] & mask, position + 1
        for _ in range(count):
            length = int.from_bytes(record[position : position + 2], "big")
            yield _START_CODE + record[position + 2 : position + 2 + length]
            position += 2 + length


def _hvcc_sets(record: bytes) -> Iterator[bytes]:
    """Parameter sets of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1), with start codes."""
    position = 23
    for _ in range(record[22]):
        count = int.from_bytes(record[position + 1 : position + 3], "big")
        position += 3
        for _ in range(count):
            length = int.from_bytes(record[position : position + 2], "big")
            yield _START_CODE + record[position + 2 : position + 2 + length]
            position += 2 + length


def _jpeg_size_header(picture: bytes) -> bytes:
    position = 2
    while position + 4 <= len(picture) and picture[position] == 0xFF:
        length = int.from_bytes(picture[position + 2 : position + 4], "big")
        if picture[position + 1] in _JPEG_SIZES:
            return picture[position : position + 2 + length]
        position += 2 + length
    return b""
