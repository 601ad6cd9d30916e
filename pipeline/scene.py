"""What flows through the pipeline: a `Frame` goes in, a `Scene` comes out.

Pixel coordinates are (x, y) with x to the right and y down; pixel (x, y) covers the square from (x, y) to
(x+1, y+1). Boxes are ``xyxy``, half-open: ``x2 - x1`` is the width. Shapes are (H, W). All arrays are read-only
by agreement: every consumer sees the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engines.classes import SegmentationClass
from pipeline.metric import RoadScene, Whereabouts

if TYPE_CHECKING:  # What holds a scene need not load OpenCV.
    from pipeline.geometry import RoadView

__all__ = [
    "Alert",
    "BgrImage",
    "CameraState",
    "CameraView",
    "ClassMap",
    "DrivableArea",
    "Frame",
    "Picture",
    "Recognition",
    "RoadUser",
    "Scene",
    "Segmentation",
    "Visibility",
    "YuvImage",
    "YuvPlanes",
]

BgrImage = NDArray[np.uint8]
"""(H, W, 3) uint8, blue-green-red, C-contiguous."""

ClassMap = NDArray[np.uint8]
"""(H, W) uint8, each value an index into the model's tuple of classes."""


@dataclass(frozen=True, slots=True)
class YuvPlanes:
    """A picture as decoders give it: 4:2:0, 8 bits, three planes. Half the bytes of BGR and no conversion.

    Attributes:
        y: (H, W) uint8 luma; rows may be strided.
        u: (ceil(H/2), ceil(W/2)) uint8, blue difference.
        v: Same shape, red difference.
        matrix: Which standard's coefficients made them: ITU-R BT.601 or BT.709.
        full_range: True for 0..255 ("JPEG") luma, False for 16..235 ("video").
    """

    y: NDArray[np.uint8]
    u: NDArray[np.uint8]
    v: NDArray[np.uint8]
    matrix: Literal["bt601", "bt709"]
    full_range: bool


@dataclass(frozen=True)
class YuvImage:
    """A drawn picture in a video's own colours: what an encoder wants, at half the bytes of BGR.

    Attributes:
        pixels: (H · 3 / 2, W) uint8, C-contiguous, H and W even ("I420"): the luma, then the blue and then the red
            differences of half the size each way, each plane without a gap.
        matrix: Which standard's coefficients they are of.
        full_range: True for 0..255 luma.
    """

    pixels: NDArray[np.uint8]
    matrix: Literal["bt601", "bt709"]
    full_range: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, 3), as of a BGR picture."""
        return self.pixels.shape[0] * 2 // 3, self.pixels.shape[1], 3

    @cached_property
    def planes(self) -> YuvPlanes:
        """Views of `pixels`."""
        height, width, _ = self.shape
        u, v = self.pixels[height:].reshape(2, height // 2, width // 2)
        return YuvPlanes(self.pixels[:height], u, v, self.matrix, self.full_range)


Picture: TypeAlias = BgrImage | YuvImage
"""What is drawn upon and shown; both have a `shape` of (H, W, 3)."""


@dataclass(frozen=True)
class Frame:
    """One picture and when it was taken.

    Attributes:
        index: Position in the run, from 0; of a live camera, its place among all frames that the camera gave.
        source_time_s: Time within the recording in seconds, from the source's own timestamps; of a live camera,
            seconds since the run began. It never goes back, also not when a camera is connected anew.
        captured_at_s: `time.monotonic()` when the frame was handed over by the decoder; of a live camera, when it
            would have been if no frame before it had been held up (`pipeline.cameras.clock`).
        size_hw: (H, W) in pixels.
        name: Stem of the image file it came from, or None.
        camera: Name of the live camera that took it; "" in a recording.
        planes: The decoder's own 4:2:0 planes where it gave them, else None.
        view: The camera over the road at this moment, where the source itself knows it exactly: a rendered one.
        leaves_trace: Whether what is seen in it may be remembered. Not where a live run did not see it that recorded
            it: without its traces the other frames become the scenes again that they were live.
        to_bgr: Makes the BGR picture. Called at most once, and only if somebody wants to look at it.
    """

    index: int
    source_time_s: float
    captured_at_s: float
    size_hw: tuple[int, int]
    to_bgr: Callable[[], BgrImage] = field(repr=False)
    name: str | None = None
    camera: str = ""
    planes: YuvPlanes | None = field(default=None, repr=False)
    view: RoadView | None = field(default=None, repr=False)
    leaves_trace: bool = True

    @cached_property
    def image(self) -> BgrImage:
        """(H, W, 3) uint8 BGR, read-only; converted on first use (some 1 ms at 1280x720) and kept."""
        image = self.to_bgr()
        image.flags.writeable = False
        return image


@dataclass(frozen=True)
class Segmentation:
    """Which class every pixel of the image belongs to.

    Attributes:
        class_ids: (H, W) uint8 at image size; values index `classes`.
        classes: The model's classes.
        grid_confidence: (h, w) float32 in [0, 1]: how probably the winning class is right, on the network's own output
            grid, which spans the same image with half-pixel centres. Calibrated where the model's sidecar says how
            sure it really is; else its softmax probability as it is.
    """

    class_ids: ClassMap
    classes: tuple[SegmentationClass, ...]
    grid_confidence: NDArray[np.float32]

    @cached_property
    def confidence(self) -> NDArray[np.float32]:
        """(H, W) float32 in [0, 1]: `grid_confidence`, bilinearly interpolated to image size on first use."""
        import cv2

        height, width = self.class_ids.shape
        return np.asarray(cv2.resize(self.grid_confidence, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)

    def class_index(self, name: str) -> int | None:
        """Index of the class of that name in `classes`, or None."""
        for index, entry in enumerate(self.classes):
            if entry.name == name:
                return index
        return None


@dataclass(frozen=True)
class DrivableArea:
    """The road that is connected to the vehicle's own lane ahead.

    Attributes:
        mask: (H, W) uint8, 1 where drivable: small holes closed, unconnected islands left out.
        area_px: Number of drivable pixels.
        free_space_px: (W,) int32, per image column the row of the far end of the clear road: the top of the
            lowest drivable run of that column; -1 where the column has none.
    """

    mask: NDArray[np.uint8] = field(repr=False)
    area_px: int
    free_space_px: NDArray[np.int32] = field(repr=False)

    @cached_property
    def polygon(self) -> NDArray[np.int32]:
        """(P, 2) int32 outline of the area as (x, y), simplified to about 2 px; (0, 2) where it is empty."""
        from pipeline.outline import outline

        return outline(self.mask)


@dataclass(frozen=True, slots=True)
class Recognition:
    """Who a road user is among those that a database of instances knows.

    Attributes:
        name: Its name in the database.
        score: How alike the descriptors are, in [-1, 1].
        is_new: Nobody known was alike enough: it was entered under this name just now.
    """

    name: str
    score: float
    is_new: bool


@dataclass(frozen=True, slots=True)
class RoadUser:
    """One person, rider or car, cut out of the class map.

    Attributes:
        id: Whose it is, from 1: the same from frame to frame, through short occlusions too, where road users are
            followed (in videos); else only apart from the others of its scene.
        class_name: ``"person"``, ``"rider"`` or ``"car"``; from models that tell them apart also ``"truck"``,
            ``"bus"``, ``"train"``, ``"motorcycle"`` and ``"bicycle"``.
        box_xyxy: (x1, y1, x2, y2) in pixels, half-open.
        foot_px: (x, y): where it stands, the middle of its lowest pixels.
        area_px: Number of its pixels.
        confidence: Mean confidence of its pixels, in [0, 1]; see `Segmentation.grid_confidence`.
        mask: (y2 - y1, x2 - x1) uint8, 1 on its pixels within the box.
        whereabouts: Where it is in metres and where it goes; None without a calibrated camera, or where its foot point
            is not on the road ahead.
        recognition: Who it is among known instances; None where nobody asked, or as long as it is not sure.
    """

    id: int
    class_name: str
    box_xyxy: tuple[int, int, int, int]
    foot_px: tuple[float, float]
    area_px: int
    confidence: float
    mask: NDArray[np.uint8] = field(repr=False)
    whereabouts: Whereabouts | None = None
    recognition: Recognition | None = None


@dataclass(frozen=True, slots=True)
class Visibility:
    """How far the mask can be trusted, and what speaks against it.

    Attributes:
        mask_confidence: Calibrated confidence of the mask, in [0, 1]: the share of pixels that one may expect to be
            right where it matters, on the road ahead.
        causes: What makes it hard to see, the worst first: ``"dark"``, ``"glare"``, ``"rain"``, ``"dirty lens"``,
            ``"covered lens"``, ``"unsure mask"``; empty where nothing does.
        is_low: Whether drivable road must not be claimed: with hysteresis, so it does not flicker.
    """

    mask_confidence: float
    causes: tuple[str, ...] = ()
    is_low: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """Something the driver or another program should know now, with its evidence in words and figures.

    Attributes:
        kind: What kind, for programs; see `pipeline.alerts`.
        message: The evidence in words, for people.
        evidence: The figures behind it, by name, with their unit in the name: ``distance_m``, ``time_to_reach_s``.
    """

    kind: str
    message: str
    evidence: Mapping[str, float] = field(default_factory=dict, hash=False)


CameraState = Literal["connecting", "live", "stale", "reconnecting", "failed"]
"""What a live camera is doing. Only ``"live"`` means that its newest frame shows the road as it is.

``connecting``    the first connection is being made
``live``          frames come
``stale``         connected, but no frame has come for longer than a frame should take
``reconnecting``  the connection was lost, or never made, and is tried again and again
``failed``        given up: no further try will be made
"""


@dataclass(frozen=True, slots=True)
class CameraView:
    """What a live camera was doing at the moment of a scene.

    Attributes:
        name: Which camera.
        state: What it was doing.
        age_ms: From capture to result, milliseconds; without a signal, since the last frame; NaN before the first.
        captured_unix_s: When the frame was captured, in seconds since 1970 (UTC): to find it in other logs. Without a
            signal, when the scene was made.
        reason: Why there is no signal, in words; "" while there is one.
    """

    name: str
    state: CameraState
    age_ms: float
    captured_unix_s: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known of the road at one moment.

    A live camera that gives no picture has scenes too: they say so in `camera`, their frame is a blank of the size of
    the last one, and nothing is claimed of the road.

    Attributes:
        frame: The frame it was made from.
        segmentation: The class of every pixel.
        drivable: The clear road ahead.
        road_users: Who is there, largest first.
        alerts: What deserves attention; empty when nothing does.
        timings_ms: Milliseconds spent on this frame, by stage.
        camera: The live camera it comes from, or None for a recording.
        road: The road ahead in metres; None without a calibrated camera.
        visibility: How far the mask can be trusted; None where that was not judged.
    """

    frame: Frame
    segmentation: Segmentation
    drivable: DrivableArea
    road_users: tuple[RoadUser, ...]
    alerts: tuple[Alert, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    camera: CameraView | None = None
    road: RoadScene | None = None
    visibility: Visibility | None = None

    @property
    def has_signal(self) -> bool:
        """Whether the frame is a picture of the road; False where a live camera gave none."""
        return self.camera is None or self.camera.state == "live"
