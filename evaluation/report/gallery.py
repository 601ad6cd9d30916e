"""Pictures worth looking at, chosen while frames go by, since there is no room to keep them all."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from evaluation.comparison import Group
from evaluation.measurement import FrameScore, Observation
from pipeline.scene import BgrImage

__all__ = ["Exhibit", "Gallery"]

_SPANS = 12
"""Of each twelfth of the data the worst frame is kept: of a video, all the worst would show the same moment."""
_WORST = 6
_TYPICAL = (1 / 6, 3 / 6, 5 / 6)
_WIDEST_PX = 480
_JPEG_QUALITY = 82
_COLOR_SHARE = 0.6
_WRONG_BGR = (40, 40, 230)
_OTHER_RGB = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One frame as four pictures side by side, each a ``data:`` address.

    Attributes:
        score: Of the frame.
        image: The picture.
        truth: With the labels' colours over it; void is left plain.
        predicted: With the prediction's colours over it.
        wrong: Darkened, wrong pixels in red.
    """

    score: FrameScore
    image: str = field(repr=False)
    truth: str = field(repr=False)
    predicted: str = field(repr=False)
    wrong: str = field(repr=False)


class Gallery:
    """Keeps the worst frames, some typical ones, and where in the picture classes flicker.

    Args:
        groups: What ranks mean, for colours.
        frame_count: How many frames there will be.
    """

    def __init__(self, groups: Sequence[Group], frame_count: int) -> None:
        colors = [group.color_rgb[::-1] for group in groups]
        self._bgr_of_rank = np.full((256, 3), _OTHER_RGB, np.uint8)
        self._bgr_of_rank[: len(colors)] = colors
        self._frame_count = max(1, frame_count)
        self._typical_at = {math.floor(share * self._frame_count) for share in _TYPICAL}
        self._worst: dict[int, Observation] = {}
        self._typical: list[Observation] = []
        self._before: Observation | None = None
        self._flicker: NDArray[np.float32] | None = None
        self._taken = 0

    def take(self, seen: Observation) -> None:
        """Look at the next frame and keep what is worth it."""
        span = self._taken * _SPANS // self._frame_count
        kept = self._worst.get(span)
        if not math.isnan(seen.score.mean_iou) and (kept is None or seen.score.mean_iou < kept.score.mean_iou):
            self._worst[span] = seen
        if self._taken in self._typical_at:
            self._typical.append(seen)
        if not math.isnan(seen.score.flicker) and self._before is not None:
            self._add_flicker(self._before, seen)
        self._before = seen
        self._taken += 1

    @property
    def worst(self) -> list[Exhibit]:
        """The worst frames, worst first, from different parts of the data."""
        ordered = sorted(self._worst.values(), key=lambda seen: seen.score.mean_iou)
        return [self._exhibit(seen) for seen in ordered[:_WORST]]

    @property
    def typical(self) -> list[Exhibit]:
        """Frames from everywhere, not chosen by how they were seen."""
        return [self._exhibit(seen) for seen in self._typical]

    @property
    def flicker_map(self) -> str | None:
        """The last frame, brighter where classes flickered more often; None where no frame followed another."""
        if self._flicker is None or self._before is None:
            return None
        picture = cv2.cvtColor(cv2.cvtColor(self._before.scene.frame.image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        share = self._flicker / max(float(np.quantile(self._flicker, 0.999)), 1.0)
        heat = cv2.applyColorMap(np.asarray(np.clip(share * 255, 0, 255), np.uint8), cv2.COLORMAP_INFERNO)
        weight = np.clip(share * 2, 0, 1)[..., None]
        return _data_address(np.asarray(picture * (0.45 * (1 - weight)) + heat * weight, np.uint8))

    def _add_flicker(self, before: Observation, seen: Observation) -> None:
        steady = (seen.truth == before.truth) & (seen.truth != 255)
        changed = steady & (seen.predicted != before.predicted)
        if self._flicker is None or self._flicker.shape != changed.shape:
            self._flicker = np.zeros(changed.shape, np.float32)
        self._flicker += changed

    def _exhibit(self, seen: Observation) -> Exhibit:
        image = seen.scene.frame.image
        void = seen.truth == 255
        wrong = np.asarray(image * 0.35, np.uint8)
        wrong[(seen.predicted != seen.truth) & ~void] = _WRONG_BGR
        return Exhibit(
            seen.score,
            _data_address(image),
            _data_address(self._colored(image, seen.truth, ~void)),
            _data_address(self._colored(image, seen.predicted, np.ones_like(void))),
            _data_address(wrong),
        )

    def _colored(self, image: BgrImage, ranks: NDArray[np.uint8], where: NDArray[np.bool_]) -> BgrImage:
        colored = cv2.addWeighted(image, 1 - _COLOR_SHARE, self._bgr_of_rank[ranks], _COLOR_SHARE, 0)
        return np.where(where[..., None], colored, image).astype(np.uint8)


def _data_address(image: BgrImage) -> str:
    """A JPEG within the page itself, at most `_WIDEST_PX` wide."""
    height, width = image.shape[:2]
    if width > _WIDEST_PX:
        size = (_WIDEST_PX, max(1, round(height * _WIDEST_PX / width)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
