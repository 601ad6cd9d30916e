"""One blob that is several road users, and several that are one.

A class map does not tell two people apart while one passes before the other: they are one blob then. Who has been
followed so far is known, so the blob is shared out among those who are expected in it; who stands nearer, going by the
feet, hides who stands behind.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.scene import RoadUser
from pipeline.tracking.tracks import BODY, VEHICLE, kind_of

__all__ = [
    "align",
    "bridge",
    "complete",
    "covered_px",
    "hidden_sides",
    "join",
    "separate",
    "share_out",
    "shared_px",
    "touching",
]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]
Mask = NDArray[np.uint8]
Box = tuple[int, int, int, int]

_LONGEST = 2.8
"""Vehicles are no longer than this many times their height, in the picture."""

_SCRAP = 0.15
"""What is smaller than this share of a vehicle, lies within its box and at a body is a scrap of it."""

_LEAST_PART = 0.15
"""Who shows less than this share of what is expected of it is hidden."""

_FARTHEST_SHIFT = 0.35
"""By how much of its width or height a box is moved at most to fit a blob's edge."""


@kernel()
def shared_px(boxes: Floats, others: Floats) -> Floats:
    """(N, M) areas that boxes xyxy (N, 4) and (M, 4) have in common."""
    shared = np.zeros((len(boxes), len(others)))
    for i in range(len(boxes)):
        for j in range(len(others)):
            width = min(boxes[i, 2], others[j, 2]) - max(boxes[i, 0], others[j, 0])
            height = min(boxes[i, 3], others[j, 3]) - max(boxes[i, 1], others[j, 1])
            shared[i, j] = max(width, 0.0) * max(height, 0.0)
    return shared


def covered_px(user: RoadUser, box: Floats) -> int:
    """How many pixels of a road user lie in a box xyxy (4,)."""
    x1, y1, x2, y2 = user.box_xyxy
    left, top = max(round(float(box[0])) - x1, 0), max(round(float(box[1])) - y1, 0)
    right, bottom = min(round(float(box[2])), x2) - x1, min(round(float(box[3])), y2) - y1
    return int(user.mask[top:bottom, left:right].sum()) if right > left and bottom > top else 0


def bridge(users: list[RoadUser]) -> list[RoadUser]:
    """Join the two ends of a vehicle that somebody nearer stands or walks before.

    Both ends reach equally high and low, the body between them hides all that is missing, and together they are no
    longer than one vehicle.
    """
    people = [user.box_xyxy for user in users if kind_of(user.class_name) == BODY]
    vehicles = [number for number, user in enumerate(users) if kind_of(user.class_name) == VEHICLE]
    joined = list(users)
    gone: set[int] = set()
    for a in vehicles:
        for b in vehicles:
            if a in gone or b in gone or a == b:
                continue
            left, right = joined[a].box_xyxy, joined[b].box_xyxy
            if left[0] < right[0] and left[2] < right[2] and _is_one(left, right, people):
                joined[a] = join(sorted([joined[a], joined[b]], key=lambda user: -user.area_px))
                gone.add(b)
    return _without_scraps([user for number, user in enumerate(joined) if number not in gone])


def _without_scraps(users: list[RoadUser]) -> list[RoadUser]:
    """Give what shows of a vehicle through a bicycle, or between arm and body, back to that vehicle."""
    people = [user.box_xyxy for user in users if kind_of(user.class_name) == BODY]
    kept: list[RoadUser] = []
    for user in sorted(users, key=lambda user: -user.area_px):
        host = None
        if kind_of(user.class_name) == VEHICLE and any(_meet(user.box_xyxy, body) for body in people):
            host = next((number for number, other in enumerate(kept) if _is_scrap(user, other)), None)
        if host is None:
            kept.append(user)
        else:
            kept[host] = join([kept[host], user])
    return kept


def _is_scrap(user: RoadUser, host: RoadUser) -> bool:
    inner, outer, slack = user.box_xyxy, host.box_xyxy, 3
    return (
        kind_of(host.class_name) == VEHICLE
        and user.area_px < _SCRAP * host.area_px
        and inner[0] >= outer[0] - slack
        and inner[1] >= outer[1] - slack
        and inner[2] <= outer[2] + slack
        and inner[3] <= outer[3] + slack
    )


def _meet(a: Box, b: Box) -> bool:
    return a[0] <= b[2] + 1 and b[0] <= a[2] + 1 and a[1] <= b[3] + 1 and b[1] <= a[3] + 1


def _is_one(left: Box, right: Box, people: list[Box]) -> bool:
    top, bottom = min(left[1], right[1]), max(left[3], right[3])
    height, slack = bottom - top, 2.0 + 0.15 * (bottom - top)
    if (
        abs(left[3] - right[3]) > slack
        or abs(left[1] - right[1]) > 2.0 * slack
        or right[2] - left[0] > _LONGEST * height
    ):
        return False
    if right[0] - left[2] <= 0:
        return False
    between = [box for box in people if box[0] < right[0] and box[2] > left[2] and box[3] >= bottom - 1]
    x = left[2] + 2
    for box in sorted(between):
        if box[0] <= x:
            x = max(x, box[2] + 2)
    return x >= right[0]


@kernel()
def touching(boxes: Floats) -> Longs:
    """(N,) numbers of clusters of boxes (N, 4): a vertical cut leaves two that meet in one column."""
    cluster = np.arange(len(boxes))
    for i in range(len(boxes)):
        for j in range(len(boxes)):
            rows = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
            if boxes[i, 2] == boxes[j, 0] and rows > 0.0 and cluster[i] != cluster[j]:
                old, new = cluster[j], cluster[i]
                for k in range(len(boxes)):
                    if cluster[k] == old:
                        cluster[k] = new
    return cluster


@kernel()
def hidden_sides(boxes: Floats, width: int) -> Flags:
    """(N, 2) whether the left and right sides of boxes (N, 4) are hidden.

    By somebody whose feet stand lower in the picture, so nearer; by the edge of the picture; or by a cut, which is
    where one body ends in the class map and not in the world.
    """
    hidden = np.zeros((len(boxes), 2), np.bool_)
    for i in range(len(boxes)):
        hidden[i, 0], hidden[i, 1] = boxes[i, 0] <= 0.0, boxes[i, 2] >= width
        for j in range(len(boxes)):
            rows = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
            if i == j or rows < 0.5 * (boxes[i, 3] - boxes[i, 1]):
                continue
            if boxes[j, 3] > boxes[i, 3]:
                hidden[i, 0] |= boxes[j, 0] < boxes[i, 0] and boxes[j, 2] >= boxes[i, 0] - 1.0
                hidden[i, 1] |= boxes[j, 2] > boxes[i, 2] and boxes[j, 0] <= boxes[i, 2] + 1.0
            hidden[i, 0] |= boxes[j, 2] == boxes[i, 0]
            hidden[i, 1] |= boxes[j, 0] == boxes[i, 2]
    return hidden


@kernel()
def complete(boxes: Floats, widths: Floats, hidden: Flags) -> tuple[Floats, Floats]:
    """What boxes that are hidden in part would be, were all of them seen.

    Args:
        boxes: (N, 4) xyxy, what is seen.
        widths: (N,) how wide they are otherwise.
        hidden: (N, 2) whether their left and right sides are hidden.

    Returns:
        (N, 4) the boxes; and (N, 4) how much less sure than usual they are, as `correct_boxes` takes it.
    """
    whole, doubts = boxes.copy(), np.ones((len(boxes), 4))
    for n in range(len(boxes)):
        left, right = hidden[n, 0], hidden[n, 1]
        if not (left or right):
            continue
        if boxes[n, 2] - boxes[n, 0] >= widths[n]:
            doubts[n, 0] = doubts[n, 2] = 2.0
            continue
        doubts[n, 0], doubts[n, 2] = 1.5, np.inf
        if left and not right:
            whole[n, 0] = boxes[n, 2] - widths[n]
        elif right and not left:
            whole[n, 2] = boxes[n, 0] + widths[n]
        else:
            middle = 0.5 * (boxes[n, 0] + boxes[n, 2])
            whole[n, 0], whole[n, 2] = middle - 0.5 * widths[n], middle + 0.5 * widths[n]
            doubts[n, 0] = 6.0
    return whole, doubts


@kernel()
def align(blob: Floats, expected: Floats) -> tuple[Floats, Floats]:
    """Move the boxes of those who share a blob so that the outermost meet its edges.

    Args:
        blob: (4,) its box xyxy.
        expected: (K, 4) boxes xyxy of those in it.

    Returns:
        (K, 4) boxes; and (K, 4) how much less sure than usual they are, as `correct_boxes` takes it: infinite where no
        edge tells anything.
    """
    boxes, doubts = expected.copy(), np.full((len(expected), 4), np.inf)
    left, right, lowest = expected[:, 0].argmin(), expected[:, 2].argmax(), expected[:, 3].argmax()
    to_left, to_right = blob[0] - expected[left, 0], blob[2] - expected[right, 2]
    if left == right:
        to_left = to_right = 0.5 * (to_left + to_right)
    for k, way in ((left, to_left), (right, to_right)):
        limit = _FARTHEST_SHIFT * (expected[k, 2] - expected[k, 0])
        boxes[k, 0] = expected[k, 0] + min(max(way, -limit), limit)
        boxes[k, 2] = expected[k, 2] + min(max(way, -limit), limit)
        doubts[k, 0] = 3.0
    limit = _FARTHEST_SHIFT * (expected[lowest, 3] - expected[lowest, 1])
    shift = min(max(blob[3] - expected[lowest, 3], -limit), limit)
    boxes[lowest, 1] += shift
    boxes[lowest, 3] += shift
    doubts[lowest, 1] = 2.0
    return boxes, doubts


def share_out(user: RoadUser, boxes: Floats, fills: Floats) -> list[RoadUser | None]:
    """Cut a blob into those who are in it.

    Args:
        user: The blob.
        boxes: (K, 4) boxes xyxy of those in it.
        fills: (K,) how much of its box each one's mask fills.

    Returns:
        K parts of the blob; None where somebody is hidden. Parts keep the blob's class, id and confidence.
    """
    parts: list[RoadUser | None] = [None] * len(boxes)
    x1, y1 = user.box_xyxy[:2]
    due_px = fills * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    nearest_first = np.argsort(-boxes[:, 3], kind="stable")
    while True:  # What is left of somebody who is hidden goes to the others.
        labels = _divide(user.mask, boxes[nearest_first] - np.array([x1, y1, x1, y1], np.float64))
        found, areas, feet = _measure(labels, len(nearest_first))
        shows = areas >= np.maximum(_LEAST_PART * due_px[nearest_first], 1.0)
        shows[areas.argmax()] = True
        if shows.all():
            break
        nearest_first = nearest_first[shows]
    for label, k in enumerate(nearest_first.tolist()):
        left, top, right, bottom = found[label].tolist()
        parts[k] = replace(
            user,
            box_xyxy=(x1 + left, y1 + top, x1 + right, y1 + bottom),
            foot_px=(x1 + float(feet[label]), float(y1 + bottom)),
            area_px=int(areas[label]),
            mask=(labels[top:bottom, left:right] == label + 1).astype(np.uint8),
        )
    return parts


def separate(user: RoadUser, labels: Mask, count: int) -> list[RoadUser]:
    """The parts of a blob by labels (h, w) from 1 to `count`; those of no pixel left out."""
    x1, y1 = user.box_xyxy[:2]
    boxes, areas, feet = _measure(labels, count)
    parts = []
    for k, ((left, top, right, bottom), area, foot) in enumerate(
        zip(boxes.tolist(), areas.tolist(), feet.tolist(), strict=True)
    ):
        if area:
            parts.append(
                replace(
                    user,
                    box_xyxy=(x1 + left, y1 + top, x1 + right, y1 + bottom),
                    foot_px=(x1 + foot, float(y1 + bottom)),
                    area_px=area,
                    mask=(labels[top:bottom, left:right] == k + 1).astype(np.uint8),
                )
            )
    return parts


def join(users: list[RoadUser]) -> RoadUser:
    """Several pieces as the one road user that they are; the class is that of the largest, which comes first."""
    boxes = np.array([user.box_xyxy for user in users])
    x1, y1, x2, y2 = (int(edge) for edge in (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)))
    mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
    for user in users:
        left, top, right, bottom = user.box_xyxy
        mask[top - y1 : bottom - y1, left - x1 : right - x1] |= user.mask
    lowest = max(users, key=lambda user: user.box_xyxy[3])
    area = sum(user.area_px for user in users)
    confidence = sum(user.confidence * user.area_px for user in users) / area
    return replace(
        users[0],
        box_xyxy=(x1, y1, x2, y2),
        foot_px=lowest.foot_px,
        area_px=area,
        confidence=confidence,
        mask=mask,
    )


@kernel()
def _divide(mask: Mask, boxes: Floats) -> Mask:
    """Whose each pixel of a blob is: of the first of the boxes that it lies in, else of the one that it lies next to.

    Args:
        mask: (h, w) the blob.
        boxes: (K, 4) boxes xyxy, nearest to the camera first, from the corner of the mask.

    Returns:
        (h, w) 1 + the number of the box, 0 outside the blob.
    """
    labels = np.zeros_like(mask)
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if not mask[y, x]:
                continue
            best, least = 0, np.inf
            for k in range(len(boxes)):
                width, height = boxes[k, 2] - boxes[k, 0], boxes[k, 3] - boxes[k, 1]
                across = abs(x + 0.5 - 0.5 * (boxes[k, 0] + boxes[k, 2])) / width
                down = abs(y + 0.5 - 0.5 * (boxes[k, 1] + boxes[k, 3])) / height
                outside = max(across, down)
                if outside <= 0.5:
                    best = k
                    break
                if outside < least:
                    best, least = k, outside
            labels[y, x] = best + 1
    return labels


@kernel()
def _measure(labels: Mask, count: int) -> tuple[Longs, Longs, Floats]:
    """Of every label from 1: the box (K, 4), the area (K,), and the middle of the lowest rows (K,)."""
    boxes, area, foot = np.zeros((count, 4), np.int64), np.zeros(count, np.int64), np.zeros(count)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            k = labels[y, x] - 1
            if k < 0:
                continue
            if area[k] == 0:
                boxes[k, 0], boxes[k, 1], boxes[k, 2] = x, y, x + 1
            boxes[k, 0], boxes[k, 2], boxes[k, 3] = min(boxes[k, 0], x), max(boxes[k, 2], x + 1), y + 1
            area[k] += 1
    for k in range(count):
        total, pixels = 0.0, 0
        for y in range(boxes[k, 3] - max((boxes[k, 3] - boxes[k, 1]) // 20, 1), boxes[k, 3]):
            for x in range(boxes[k, 0], boxes[k, 2]):
                if labels[y, x] == k + 1:
                    total += x + 0.5
                    pixels += 1
        foot[k] = total / max(pixels, 1)
    return boxes, area, foot
