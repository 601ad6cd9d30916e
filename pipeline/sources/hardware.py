"""Decoding on the hardware: NVDEC, the decoder of an NVIDIA GPU, through FFmpeg's CUDA device.

PyAV's FFmpeg brings it along, so that nothing more is installed, and timestamps, seeking and the search for damage
stay what they are on the CPU. Pictures come down to the host as NV12.
"""

from __future__ import annotations

from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.frame import VideoFrame

from engines.cuda.presence import why_no_gpu
from pipeline.errors import SourceError

__all__ = ["apart", "nvdec", "refusal"]

_INSTEAD = "decode on the CPU instead (--decode cpu)"


def nvdec() -> HWAccel:
    """NVDEC, for `av.open`. It never falls back to the CPU unsaid.

    Raises:
        SourceError: There is no NVIDIA GPU or driver, or PyAV's FFmpeg was built without CUDA.
    """
    missing = why_no_gpu()
    if missing:
        raise SourceError(f"NVDEC cannot be used: {missing}; {_INSTEAD}")
    if "cuda" not in hwdevices_available():
        raise SourceError(f"NVDEC cannot be used: the FFmpeg of this PyAV has no CUDA; {_INSTEAD}")
    return HWAccel("cuda", allow_software_fallback=False)


def refusal(error: Exception) -> str:
    """Why NVDEC did not open a recording, for people."""
    said = str(getattr(error, "strerror", "") or error)
    return f"NVDEC cannot decode it ({said}): no such codec in this GPU, or no libnvcuvid; {_INSTEAD}"


def apart(picture: VideoFrame) -> VideoFrame:
    """The same picture with three planes, if it came as NV12; pictures in any other layout as they are."""
    return picture.reformat(format="yuv420p", threads=1) if picture.format.name == "nv12" else picture
