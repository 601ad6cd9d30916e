"""Road users as single persons, riders and cars, cut out of a class map that only knows classes.

There is no instance head in the network, so instances come from shape alone: connected pieces of a class, joined
again where a thin pole cuts them, and cut where their skyline has a valley between two heads, or two roofs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.classes import SegmentationClass
from pipeline.postprocess.instances import measure_instances, paint_instances
from pipeline.postprocess.pieces import OCCLUDER, PERSONAL, VEHICLE, choose_pieces, join_pieces
from pipeline.postprocess.runs import Runs, join_runs, select_runs
from pipeline.postprocess.silhouettes import cut_groups
from pipeline.scene import RoadUser

__all__ = ["InstanceRules", "find_road_users"]

KINDS = {
    "person": PERSONAL,
    "rider": PERSONAL,
    "car": VEHICLE,
    "truck": VEHICLE,
    "bus": VEHICLE,
    "train": VEHICLE,
    "motorcycle": VEHICLE,
    "bicycle": VEHICLE,
    "pole": OCCLUDER,
    "traffic sign": OCCLUDER,
    "traffic light": OCCLUDER,
}
MAX_PIECES = 256
"""Largest pieces of road users that are looked at; only noise has more."""
MAX_MASKS = 4
"""Images' worth of mask pixels in one scene; only noise, with box in box in box, has more."""


@dataclass(frozen=True, slots=True)
class InstanceRules:
    """When pieces are one road user, and when a piece is several.

    Attributes:
        min_area: Smallest road user, as a share of the image.
        pole_width: Widest pole that may stand in front of one, as a share of the image's width.
        gap: A gap up to this share of the image's height is a mistake of the network, whatever is in it.
        valley_people: A skyline is cut where its height drops by this share between two bodies. For people.
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
        The road users, largest first, numbered from 1. A figure that is a person above and a rider below is a rider.
    """
    rules = rules or InstanceRules()
    height, width = runs.size_hw
    kind = _kinds(classes)
    parts, selected = select_runs(runs, (kind == PERSONAL) | (kind == VEHICLE))
    row, start, stop, class_id = parts.row, parts.start, parts.stop, parts.class_id
    component = np.empty(len(parts), np.int32)
    count = join_runs(parts.row_offsets, start, stop, class_id, 1, component)
    box, area, piece_class = measure_instances(
        row, start, stop, class_id, component, np.zeros(count + 1, np.int32), np.empty(0, np.int32)
    )
    chosen = choose_pieces(
        box, area, piece_class, kind, height, rules.min_area * height * width / 4,
        int(rules.bonnet_width * width), int(rules.bonnet_height * height),
    )  # fmt: skip
    chosen = chosen[np.argsort(-area[chosen], kind="stable")[:MAX_PIECES]]
    run_group, groups = join_pieces(
        parts.row_offsets, selected, start, stop, runs.class_id, kind, component, chosen, box, piece_class,
        max(int(rules.pole_width * width), 1), max(int(rules.gap * height), 1),
    )  # fmt: skip
    first_cut, cuts = cut_groups(
        row, start, stop, class_id, kind, run_group, groups,
        np.array([0, rules.valley_people, rules.valley_vehicles], np.float32),
        np.array([0, rules.slim_people, rules.slim_vehicles], np.float32),
        2 * MAX_PIECES,
    )  # fmt: skip
    box, area, instance_class = measure_instances(row, start, stop, class_id, run_group, first_cut, cuts)
    order = np.argsort(-area, kind="stable")
    masks, begin, foot_x, confidence = paint_instances(
        row, start, stop, run_group, first_cut, cuts, box, area, order, grid_confidence, height, width,
        rules.min_area * height * width, MAX_MASKS * height * width,
    )  # fmt: skip
    order = order[: len(foot_x)]
    return tuple(
        RoadUser(
            id=i + 1,
            class_name=classes[instance_class[instance]].name,
            box_xyxy=(x1, y1, x2, y2),
            foot_px=(float(foot_x[i]), float(y2)),
            area_px=int(area[instance]),
            confidence=float(confidence[i]),
            mask=masks[begin[i] : begin[i + 1]].reshape(y2 - y1, x2 - x1),
        )
        for i, (instance, (x1, y1, x2, y2)) in enumerate(zip(order.tolist(), box[order].tolist(), strict=True))
    )


def _kinds(classes: Sequence[SegmentationClass]) -> NDArray[np.uint8]:
    """(256,) the kind of every class: `PERSONAL`, `VEHICLE`, `OCCLUDER`, or 0 for the rest."""
    kind = np.zeros(256, np.uint8)
    for index, entry in enumerate(classes):
        kind[index] = KINDS.get(entry.name, 0)
    return kind
