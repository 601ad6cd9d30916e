"""Everything that is kept of road users from frame to frame: one row of a table for each.

A table rather than objects, because all rows are predicted, compared and corrected in one call of a compiled kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scene import RoadUser

__all__ = ["BODY", "NAMES", "TRACK", "VEHICLE", "Tracks", "boxes_of", "kind_of", "new_track"]

Tracks = NDArray[np.void]
"""(T,) of `TRACK`."""

NAMES = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
"""Classes of road users; the order of a track's votes."""

BODY, VEHICLE = 1, 2
"""Kinds: whom a network takes for one another. A person becomes a rider and a car a truck; never one the other."""

TRACK = np.dtype(
    [
        ("id", np.int64),  # 0 until there is enough evidence that it is somebody.
        ("evidence", np.float64),
        ("kind", np.int64),
        ("votes", np.float64, (len(NAMES),)),  # For each class, fading.
        ("born_s", np.float64),
        ("seen_s", np.float64),
        ("sightings", np.int64),
        ("regrouped_s", np.float64),  # For how long it has been put together from pieces, without a break.
        ("box", np.float64, (4,)),  # Middle column, foot row, logarithms of width and height: pixels.
        ("box_rate", np.float64, (4,)),  # The same, each second.
        ("box_covariance", np.float64, (4, 3)),  # Of each with its rate: value, both, rate.
        ("fill", np.float64),  # Share of its box that is its mask.
        ("in_path", np.int64),  # 1 in the path when last seen, -1 not, 0 nobody knows.
        ("placed", np.bool_),  # Whether what follows is known.
        ("placed_s", np.float64),  # When its foot was last seen on the ground.
        ("strange", np.int64),  # How many feet in a row were not where it was expected.
        ("raised_m", np.float64),  # Height of what it stands on over the road.
        ("place", np.float64, (4,)),  # x, y in metres and their rates, relative to the vehicle.
        ("place_covariance", np.float64, (4, 4)),
    ],
    align=True,
)


def kind_of(class_name: str) -> int:
    """`BODY` or `VEHICLE`."""
    return BODY if class_name in {"person", "rider"} else VEHICLE


def boxes_of(users: list[RoadUser]) -> NDArray[np.float64]:
    """(N, 4) boxes xyxy."""
    return np.array([user.box_xyxy for user in users], np.float64).reshape(-1, 4)


def new_track(user: RoadUser, now_s: float) -> Any:
    """The row of somebody who was seen for the first time."""
    row = np.zeros((), TRACK)
    row["kind"] = kind_of(user.class_name)
    row["votes"][NAMES.index(user.class_name)] = 1.0
    row["born_s"] = row["seen_s"] = now_s
    row["sightings"] = 1
    return row
