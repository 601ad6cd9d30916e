"""CUDA kernels around the network: what would otherwise be done on the CPU, pixel by pixel, and carried over the bus.

=================  ==============================================================================================
`Letterbox`        picture (BGR, I420 or NV12) → network input: resize, colour, normalise, NCHW, float32 or float16
`ClassMapper`      logits → class map at image size, and the grid's confidence: all that comes down
`Tint`             class map and picture → tinted picture, where only a picture is wanted
`PicturePath`      all of it around a network on the GPU: picture up, class map down, two batches in flight
`DeviceKernels`    loads what `scripts/build_kernels` built, and queues launches on a stream of a `Device`
=================  ==============================================================================================

The first three compute what depends on shapes alone, and say what to launch; they need no GPU and import no CUDA
library. The tests run the same launches on a CPU, through the same ``.cu`` files.
"""

from __future__ import annotations

from engines.kernels.class_map import ClassMapper
from engines.kernels.device import DeviceKernels
from engines.kernels.launch import Launch
from engines.kernels.letterbox import Letterbox
from engines.kernels.picture import PictureFormat
from engines.kernels.picture_path import ClassifiedPicture, Feed, PicturePath
from engines.kernels.tint import Tint

__all__ = [
    "ClassMapper",
    "ClassifiedPicture",
    "DeviceKernels",
    "Feed",
    "Launch",
    "Letterbox",
    "PictureFormat",
    "PicturePath",
    "Tint",
]
