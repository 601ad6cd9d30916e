"""What a source is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from pipeline.geometry import RoadView
from pipeline.scene import Frame

__all__ = ["IMAGE_SUFFIXES", "Decode", "Source", "SourceInfo"]

Decode = Literal["cpu", "nvdec"]
"""What decodes a video: the CPU, or the decoder of an NVIDIA GPU."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"})
"""Still pictures that OpenCV reads. Animated GIFs go through FFmpeg."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before its first frame is read.

    Attributes:
        uri: As the user gave it.
        description: One line for people: codec, size, rate.
        size_hw: (H, W) of its frames in pixels.
        frame_count: Number of frames where the container says so, else None.
        frame_rate_hz: Nominal rate where there is one, else None.
        has_scenes: A live run wrote its scenes beside it. Its classes are those of single frames, so that a replay,
            which sees all, gives the same scenes; and frames that it did not see leave no trace (`Frame.leaves_trace`).
        has_views: Its frames know themselves how their camera hangs over the road (`Frame.view`): it is a rendered one.
        view: How its camera hung over the road, at the size of its calibration; None where nobody wrote it down.
        bonnet_m: Metres ahead that the own bonnet hid, of a recording with a view.
        is_video: Frames follow one another in time; False for still images, of which each stands for itself.
    """

    uri: str
    description: str
    size_hw: tuple[int, int]
    frame_count: int | None
    frame_rate_hz: float | None
    is_video: bool = True
    has_scenes: bool = False
    has_views: bool = False
    view: RoadView | None = None
    bonnet_m: float = 0.0


class Source(Protocol):
    """A recording. Opened by `open_source`; `frames` and `close` are called by the capture thread alone."""

    @property
    def info(self) -> SourceInfo:
        """What is known before the first frame."""

    def frames(self) -> Iterator[Frame]:
        """Every frame, in order, once.

        Raises:
            SourceError: The recording is damaged or broke off; frames yielded before that are good.
        """

    def close(self) -> None:
        """Free the decoder. May be called more than once."""
