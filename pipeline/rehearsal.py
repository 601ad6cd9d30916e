"""A short street that is made up, so that a run compiles and loads its kernels before it begins and not in its middle.

Two people walk into one another and part again, a car stands, the road is known in metres: whatever a run does with a
real scene it has then done once. `PARTS` are pieces of that which need nothing of one another, so that they can be
compiled at the same time (`pipeline.preparation`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType

import numpy as np
from numpy.typing import NDArray

from engines.base import ConfidenceFit, ModelSpec, Tensor
from engines.classes import CITYSCAPES
from pipeline.geometry import CameraModel, CameraPose, RoadView
from pipeline.geometry.vanishing_point import fit_heading
from pipeline.metric import ClearDistance, Corridor, FreeSpace, RoadScene
from pipeline.scene import BgrImage, DrivableArea, Frame, RoadUser, Scene, Segmentation, YuvImage, YuvPlanes
from pipeline.situation import Situation, SituationSettings
from pipeline.tracking.association import overlap
from pipeline.yuv import fill_planes, yuv_weights

__all__ = ["PARTS", "rehearse"]

_SIZE_HW = (180, 320)
_ROAD, _SIDEWALK, _SKY, _PERSON, _CAR = 0, 1, 10, 11, 13
_FRAMES, _RATE_HZ = 24, 10.0
_VIEW = RoadView(CameraModel(_SIZE_HW, 250.0, 250.0, 160.0, 90.0), CameraPose(1.4, 0.03))


def rehearse() -> None:
    """Take the street through a situation. Some milliseconds, once everything is compiled."""
    _follow()


def _follow() -> None:
    situation = Situation(SituationSettings(_VIEW))
    for index in range(_FRAMES):
        situation.understand(_told(index, _frame(index)))
    # What few scenes need: a vehicle that drives, and road users that fall to pieces.
    rays = np.random.default_rng(0).uniform((-0.5, -0.3, 1.0), (0.5, 0.3, 1.0), (40, 3))
    fit_heading(rays, rays * np.array([1.01, 1.01, 1.0]), 250.0)
    overlap(np.array([0.0, 0.0, 2.0, 2.0]), np.array([1.0, 1.0, 3.0, 3.0]))


def _perceive() -> None:
    """From a frame to its classes, its road and its road users."""
    from pipeline.perception import Perception
    from pipeline.timings import StageTimings

    with Perception(_Painted(), StageTimings(), smooth=True) as perception:
        perception.warm_up((2 * _SIZE_HW[0], 2 * _SIZE_HW[1]))
        for index in range(_FRAMES):
            perception.see(_frame(index, in_planes=index > 0))


def _draw(*, in_planes: bool) -> None:
    """The overlay, upon a video's own planes or upon a picture."""
    from pipeline.overlay import OverlayPainter

    painter = OverlayPainter()
    for index in range(2):
        picture = painter.draw_planes(replace(_told(index, _frame(index, in_planes=in_planes)), road=_road()))
        if not isinstance(picture, YuvImage):  # What video is encoded from.
            height, width = _SIZE_HW
            planes = YuvImage(np.empty((height * 3 // 2, width), np.uint8), "bt709", full_range=False).planes
            fill_planes(
                picture.reshape(height, -1), yuv_weights("bt709", full_range=False), planes.y, planes.u, planes.v
            )


def _render() -> None:
    """The synthetic drive."""
    from pipeline.synthetic import SyntheticDrive

    drive = SyntheticDrive(size_hw=_SIZE_HW)
    for index in range(0, drive.frame_count, 100):
        drive.render(index)


PARTS: Mapping[str, Callable[[], None]] = MappingProxyType(
    {
        "the synthetic drive": _render,
        "situation": _follow,
        "perception": _perceive,
        "overlay on pictures": lambda: _draw(in_planes=False),
        "overlay on video": lambda: _draw(in_planes=True),
    }
)
"""What can be compiled by itself, the longest first."""


class _Painted:
    """An engine that sees the street as it was painted. Implements `engines.base.Engine`."""

    kind, description = "painted", "a made-up street"

    def __init__(self) -> None:
        height, width = _SIZE_HW
        self.spec = ModelSpec(
            name="street",
            path=Path(),
            input_shape=(1, 3, height, width),
            output_shape=(1, len(CITYSCAPES), height // 4, width // 4),
            mean=(0.0, 0.0, 0.0),
            std=(255.0, 255.0, 255.0),
            color_order="rgb",
            classes=CITYSCAPES,
            confidence=ConfidenceFit(),
        )
        self._index = 0

    def infer(self, tensor: Tensor) -> Tensor:  # noqa: ARG002
        """(1, K, h, w) logits of the next frame, sure in some places and not in others."""
        logits = np.random.default_rng(self._index).uniform(0.0, 3.0, self.spec.output_shape).astype(np.float32)
        ids = _street(self._index)[2::4, 2::4]
        for index in range(len(CITYSCAPES)):
            logits[0, index][ids == index] += 3.0
        self._index += 1
        return logits

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> _Painted:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _frame(index: int, *, in_planes: bool = False) -> Frame:
    height, width = _SIZE_HW
    texture = np.random.default_rng(0).integers(0, 255, (*_SIZE_HW, 3), np.uint8)
    picture = np.roll(texture, index // 4, axis=0)
    # As decoders give them: rows are padded.
    y, u, v = (
        np.full((rows, columns + 32), 128, np.uint8)[:, :columns]
        for rows, columns in ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    )
    planes, moment_s = YuvPlanes(y, u, v, "bt709", full_range=False), index / _RATE_HZ
    return Frame(index, moment_s, 0.0, _SIZE_HW, _giving(picture), planes=planes if in_planes else None)


def _told(index: int, frame: Frame) -> Scene:
    """The scene, told by who painted the street: nothing has to be found, and no kernel compiled for that."""
    ids = _street(index)
    is_road = (ids == _ROAD).astype(np.uint8)
    tops = np.where(is_road.any(axis=0), is_road.argmax(axis=0), -1).astype(np.int32)
    left, right = _people(index)
    spans = [(left[0], right[1])] if right[0] <= left[1] else [left, right]
    boxes = [("car", _CAR, (200, 95, 230, 115))]
    boxes += [("person", _PERSON, (first, 92, last, 140)) for first, last in spans]
    users = tuple(_user(place, *box, ids) for place, box in enumerate(boxes, 1))
    drivable = DrivableArea(is_road, int(is_road.sum()), tops)
    return Scene(frame, Segmentation(ids, CITYSCAPES, _sure()), drivable, users)


def _road() -> RoadScene:
    """The road ahead as who painted it knows it: straight, and clear up to somebody."""
    columns = np.arange(16.0, 320.0, 32.0)
    places = np.stack([np.full(len(columns), 20.0), np.linspace(8.0, -8.0, len(columns))], axis=1)
    space = FreeSpace(columns, places, np.full(len(columns), 21.5), np.full(len(columns), 0.5))
    clear = ClearDistance(20.0, 0.5, is_open=False, place_px=(160.0, 110.0))
    return RoadScene(_VIEW, Corridor(1.1, 0.0, 0.0, 1e-4 * np.eye(2)), clear, space)


def _user(place: int, name: str, kind: int, box_xyxy: tuple[int, int, int, int], ids: NDArray[np.uint8]) -> RoadUser:
    x1, y1, x2, y2 = box_xyxy
    mask = (ids[y1:y2, x1:x2] == kind).astype(np.uint8)
    return RoadUser(place, name, box_xyxy, ((x1 + x2) / 2.0, float(y2)), int(mask.sum()), 0.95, mask)


def _sure() -> NDArray[np.float32]:
    return np.full((_SIZE_HW[0] // 4, _SIZE_HW[1] // 4), 0.95, np.float32)


def _giving(picture: BgrImage) -> Callable[[], BgrImage]:
    return lambda: picture


def _street(index: int) -> NDArray[np.uint8]:
    """(H, W) class ids."""
    ids = np.full(_SIZE_HW, _SKY, np.uint8)
    ids[90:] = _SIDEWALK
    for row in range(96, _SIZE_HW[0]):
        half = (row - 90) * 2
        ids[row, max(0, 160 - half) : 160 + half] = _ROAD
    ids[95:115, 200:230] = _CAR
    for first, last in _people(index):
        ids[92:140, first:last] = _PERSON
    return ids


def _people(index: int) -> list[tuple[int, int]]:
    """First column and one past the last of the two people."""
    meeting = 4 * abs(index - _FRAMES // 2)  # How far apart they are.
    return [(middle - 7, middle + 7) for middle in (140 - meeting, 144 + meeting)]
