"""Road users as single persons, riders and cars, cut out of a class map that only knows classes.

There is no instance head in the network, so instances come from shape alone: connected pieces of a class, joined
again where a thin pole cuts them, and cut where their silhouette has a waist between two bodies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.classes import SegmentationClass
from pipeline.postprocess.instance_kernels import (
    cut_groups,
    join_pieces,
    measure_instances,
    measure_pieces,
    paint_instances,
)
from pipeline.postprocess.runs import Runs, join_runs, select_runs
from pipeline.scene import RoadUser

__all__ = ["InstanceRules", "find_road_users"]

PEOPLE = ("person", "rider")
VEHICLES = ("car", "truck", "bus", "train", "motorcycle", "bicycle")
OCCLUDERS = ("pole", "traffic sign", "traffic light")
MAX_PIECES = 256
"""Largest pieces of road users that are looked at; only noise has more."""


@dataclass(frozen=True, slots=True)
class InstanceRules:
    """When pieces are one road user, and when a piece is several.

    Attributes:
        min_area: Smallest road user, as a share of the image.
        pole_width: Widest pole that may stand in front of one, as a share of the image's width.
        gap: A gap up to this share of the image's height is a mistake of the network, whatever is in it.
        valley_people: A silhouette is cut where its height drops by this share between two bodies. For people.
        valley_vehicles: The same for vehicles, whose roof is flatter.
        slim_people: No part of a cut may be slimmer than this share of its height. For people.
        slim_vehicles: The same for vehicles.
        bonnet_width: What touches the bottom of the image and is wider than this share of it ...
        bonnet_height: ... but not higher than this share is the bonnet of the own vehicle.
    """

    min_area: float = 0.0001
    pole_width: float = 0.015
    gap: float = 0.004
    valley_people: float = 0.08
    valley_vehicles: float = 0.08
    slim_people: float = 0.13
    slim_vehicles: float = 0.9
    bonnet_width: float = 0.5
    bonnet_height: float = 0.3


def find_road_users(
    runs: Runs,
    classes: Sequence[SegmentationClass],
    grid_confidence: NDArray[np.float32],
    rules: InstanceRules | None = None,
) -> tuple[RoadUser, ...]:
    """Find the single persons, riders and vehicles in a class map.

    Args:
        runs: The class map, as runs.
        classes: The model's classes; those that are no road users, or that it lacks, are no trouble.
        grid_confidence: (h, w) float32 confidence on any grid that spans the image.
        rules: Sizes and shares, or None for the usual ones.

    Returns:
        The road users, largest first, numbered from 1.
    """
    rules = rules or InstanceRules()
    height, width = runs.size_hw
    kind = _kinds(classes)
    offsets, selected = select_runs(runs.row_offsets, runs.class_id, (kind == 1) | (kind == 2))
    row, start, stop = runs.row[selected], runs.start[selected], runs.stop[selected]
    class_id = runs.class_id[selected]
    component = np.empty(len(selected), np.int32)
    count = join_runs(offsets, start, stop, class_id, 1, component)
    min_area = rules.min_area * height * width
    box, area, piece_class = measure_pieces(row, start, stop, class_id, component, count)
    piece = _number_pieces(box, area, piece_class, kind, runs.size_hw, rules)
    group, groups = join_pieces(
        offsets,
        selected,
        start,
        stop,
        runs.class_id,
        kind,
        component,
        piece,
        box,
        piece_class,
        max(int(rules.pole_width * width), 1),
        max(int(rules.gap * height), 1),
    )
    joined = np.bincount(group[group >= 0], minlength=groups) > 1
    run_group = group[component]
    first_cut, cuts = cut_groups(
        row,
        start,
        stop,
        class_id,
        kind,
        run_group,
        joined,
        np.array([0, rules.valley_people, rules.valley_vehicles], np.float32),
        np.array([0, rules.slim_people, rules.slim_vehicles], np.float32),
        2 * MAX_PIECES,
    )
    instance_box, instance_area, instance_class = measure_instances(
        row, start, stop, class_id, run_group, first_cut, cuts
    )
    order = np.argsort(-instance_area, kind="stable")
    order = order[instance_area[order] >= min_area]
    masks, foot_x, confidence, offset = paint_instances(
        row, start, stop, run_group, first_cut, cuts, instance_box, order, grid_confidence, height, width
    )
    users = []
    for i, instance in enumerate(order.tolist()):
        x1, y1, x2, y2 = instance_box[instance].tolist()
        users.append(
            RoadUser(
                id=i + 1,
                class_name=classes[instance_class[instance]].name,
                box_xyxy=(x1, y1, x2, y2),
                foot_px=(float(foot_x[i]), float(y2)),
                area_px=int(instance_area[instance]),
                confidence=float(confidence[i]),
                mask=masks[offset[i] : offset[i + 1]].reshape(y2 - y1, x2 - x1),
            )
        )
    return tuple(users)


def _kinds(classes: Sequence[SegmentationClass]) -> NDArray[np.uint8]:
    """(256,) 1 for classes of people, 2 for vehicles, 3 for what thinly stands before them, 0 for the rest."""
    kind = np.zeros(256, np.uint8)
    for index, entry in enumerate(classes):
        for number, names in enumerate((PEOPLE, VEHICLES, OCCLUDERS), start=1):
            if entry.name in names:
                kind[index] = number
    return kind


def _number_pieces(
    box: NDArray[np.int32],
    area: NDArray[np.int64],
    piece_class: NDArray[np.uint8],
    kind: NDArray[np.uint8],
    size_hw: tuple[int, int],
    rules: InstanceRules,
) -> NDArray[np.int32]:
    """The pieces that matter, largest first: large enough to be part of somebody, and not the own bonnet."""
    height, width = size_hw
    large = area >= max(rules.min_area * height * width / 4, 1)
    bonnet = (
        (kind[piece_class] == 2)
        & (box[:, 3] == height)
        & (box[:, 2] - box[:, 0] > rules.bonnet_width * width)
        & (box[:, 3] - box[:, 1] <= rules.bonnet_height * height)
    )
    chosen = np.flatnonzero(large & ~bonnet)
    chosen = chosen[np.argsort(-area[chosen], kind="stable")][:MAX_PIECES]
    return chosen.astype(np.int32)
