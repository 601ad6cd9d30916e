"""Where the boxes of road users will be in the next picture: a Kalman filter for each side of the question.

Middle column, foot row, and the logarithms of width and height each move evenly, pushed by random accelerations
(Kalman 1960; Bewley et al. 2016 follow boxes alike). Logarithms, because what comes nearer at an even pace grows by an
even share, and is never of negative size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.tracking.tracks import Tracks

__all__ = ["correct_boxes", "predict_boxes", "predicted_xyxy", "start_box", "within"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_PUSH = (1.2, 1.0, 1.0, 0.5)
"""How much chance changes the rates within a second: of places in heights of the box, of sizes in shares."""

_CALM_S = 1.0
"""Sizes stop changing this long after nothing is seen: a share that grows for ever fills the picture."""


@kernel()
def predict_boxes(tracks: Tracks, step_s: float) -> None:
    """Move all boxes on by `step_s`."""
    for t in range(len(tracks)):
        track = tracks[t]
        height = np.exp(track["box"][3])
        for k in range(4):
            push = (_PUSH[k] * (height if k < 2 else 1.0)) ** 2
            track["box"][k] += step_s * track["box_rate"][k]
            if k >= 2:
                track["box_rate"][k] *= np.exp(-step_s / _CALM_S)
            value, both, rate = track["box_covariance"][k]
            track["box_covariance"][k, 0] = value + step_s * (2.0 * both + step_s * rate) + push * step_s**3 / 3.0
            track["box_covariance"][k, 1] = both + step_s * rate + push * step_s**2 / 2.0
            track["box_covariance"][k, 2] = rate + push * step_s


@kernel()
def start_box(track: Tracks, box: Floats) -> None:
    """Begin the only row of `track` with a box xyxy (4,)."""
    width, height = box[2] - box[0], box[3] - box[1]
    values = (0.5 * (box[0] + box[2]), box[3], np.log(width), np.log(height))
    for k in range(4):
        track[0]["box"][k] = values[k]
        track[0]["box_rate"][k] = 0.0
        size = height if k < 2 else 1.0
        track[0]["box_covariance"][k, 0] = _noise(k, width, height) ** 2
        track[0]["box_covariance"][k, 1] = 0.0
        track[0]["box_covariance"][k, 2] = (1.5 * size) ** 2


@kernel()
def correct_boxes(tracks: Tracks, rows: Longs, boxes: Floats, doubts: Floats) -> None:
    """Take in boxes xyxy (N, 4) of rows (N,); `doubts` (N, 4): how much less sure than usual, infinite: unseen."""
    for n in range(len(rows)):
        _correct(tracks[rows[n]], boxes[n], doubts[n])


@kernel(inner=True)
def _correct(track: Any, box: Floats, doubt: Floats) -> None:
    width, height = box[2] - box[0], box[3] - box[1]
    values = (0.5 * (box[0] + box[2]), box[3], np.log(width), np.log(height))
    for k in range(4):
        if not np.isfinite(doubt[k]):
            continue
        noise = (_noise(k, width, height) * doubt[k]) ** 2
        value, both, rate = track["box_covariance"][k]
        gain, rate_gain = value / (value + noise), both / (value + noise)
        off = values[k] - track["box"][k]
        track["box"][k] += gain * off
        track["box_rate"][k] += rate_gain * off
        track["box_covariance"][k, 0] = (1.0 - gain) * value
        track["box_covariance"][k, 1] = (1.0 - gain) * both
        track["box_covariance"][k, 2] = rate - rate_gain * both


@kernel(inner=True)
def _noise(k: int, width: float, height: float) -> float:
    """How well a value of a box is seen: edges to half a pixel, and limbs swing."""
    if k == 0:
        return 0.5 + 0.05 * width
    if k == 1:
        return 0.5 + 0.015 * height
    return 0.5 / width + 0.08 if k == 2 else 0.5 / height + 0.02


@kernel()
def predicted_xyxy(tracks: Tracks) -> tuple[Floats, Floats]:
    """(T, 4) boxes xyxy as they are expected, and (T, 2) how unsure their places are: deviations across and down."""
    boxes, deviations = np.empty((len(tracks), 4)), np.empty((len(tracks), 2))
    for t in range(len(tracks)):
        x, y, width, height = tracks[t]["box"]
        half = 0.5 * np.exp(width)
        boxes[t, 0], boxes[t, 1], boxes[t, 2], boxes[t, 3] = x - half, y - np.exp(height), x + half, y
        deviations[t, 0] = np.sqrt(tracks[t]["box_covariance"][0, 0])
        deviations[t, 1] = np.sqrt(tracks[t]["box_covariance"][1, 0])
    return boxes, deviations


@kernel()
def within(boxes: Floats, height: int, width: int) -> Floats:
    """(N, 4) what of boxes xyxy lies in a picture; of who is beyond its edge nothing, at that edge."""
    inside = np.empty_like(boxes)
    for n in range(len(boxes)):
        for k in range(4):
            inside[n, k] = min(max(boxes[n, k], 0.0), float(height if k % 2 else width))
    return inside
