"""Which blobs of a picture are which road users: the same ids from frame to frame, in pixels alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.jit import kernel
from pipeline.scene import RoadUser
from pipeline.tracking.association import assign, costs, overlap
from pipeline.tracking.boxes import correct_boxes, predict_boxes, predicted_xyxy, start_box, within
from pipeline.tracking.sharing import (
    align,
    complete,
    covered_px,
    hidden_sides,
    join,
    share_out,
    shared_px,
    touching,
)
from pipeline.tracking.tracks import NAMES, TRACK, VEHICLE, Tracks, boxes_of, kind_of, new_track

__all__ = ["Follower", "FollowingRules", "Sighting"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FollowingRules:
    """When somebody is the same as before.

    Attributes:
        hidden_s: Who is not seen for longer is forgotten.
        brief_hidden_s: The same for somebody who was seen only once or twice: most of them are mistakes of the network.
        settled: From so many sightings on, somebody claims a share of a blob, or the pieces of one that falls apart.
        regroup_s: Pieces that stay apart for longer are several road users.
        covered: A blob hides somebody of whom it covers at least this share.
        fit: Cuts through a blob are undone where a part overlaps with what is expected by less.
        memory_s: How long it takes to change one's mind about a class.
        sure: So much evidence makes somebody of what is seen. A sighting is worth its confidence, ...
        whole_px: ... and less where it has fewer pixels than that, in a picture 360 rows high.
    """

    hidden_s: float = 1.6
    brief_hidden_s: float = 0.35
    settled: int = 4
    regroup_s: float = 0.4
    covered: float = 0.6
    fit: float = 0.5
    memory_s: float = 0.7
    sure: float = 1.8
    whole_px: float = 100.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is seen in this picture and followed: `row` of the table is its track.

    Attributes:
        row: Row of `Follower.tracks`.
        user: What is seen of it; its id and class are those of the row.
        is_part: Whether somebody known was cut out of a blob, so that the lowest pixels may be a neighbour's.
    """

    row: int
    user: RoadUser
    is_part: bool = False


class Follower:
    """Gives road users their ids. Owned by one thread.

    Attributes:
        tracks: Everybody who is followed.
    """

    def __init__(self, rules: FollowingRules | None = None) -> None:
        self.tracks: Tracks = np.empty(0, TRACK)
        self._rules = rules or FollowingRules()
        self._next_id = 1

    def lose_everybody(self) -> None:
        """The next picture has nothing to do with the last. Ids are not used again."""
        self.tracks = self.tracks[:0]

    def forget_hidden(self, now_s: float) -> None:
        """Forget those who have been hidden too long."""
        tracks, rules = self.tracks, self._rules
        limit = np.where(tracks["sightings"] < rules.settled, rules.brief_hidden_s, rules.hidden_s)
        self.tracks = tracks[now_s - tracks["seen_s"] <= limit]

    def predict(self, step_s: float) -> None:
        """Move everybody to where they are expected now."""
        predict_boxes(self.tracks, step_s)

    def follow(
        self, users: Sequence[RoadUser], size_hw: tuple[int, int], now_s: float, step_s: float
    ) -> list[Sighting]:
        """Recognise road users, and take in where they are.

        Args:
            users: What was cut out of the class map; their ids mean nothing.
            size_hw: (H, W) of the picture.
            now_s: Its time.
            step_s: Since the last.

        Returns:
            Everybody who is seen, in no order; also those who have no id yet.
        """
        tracks = self.tracks
        expected, deviations = predicted_xyxy(tracks)
        in_picture = within(expected, *size_hw)
        seen = list(users)
        boxes = boxes_of(seen)
        cost = costs(
            in_picture,
            deviations,
            tracks["kind"],
            tracks["votes"].argmax(axis=1),
            boxes,
            np.array([kind_of(user.class_name) for user in seen], np.int64),
            np.array([NAMES.index(user.class_name) for user in seen], np.int64),
        )
        owner = {column: row for row, column in enumerate(assign(cost).tolist()) if column >= 0}
        self._uncut(seen, owner, boxes, in_picture)
        self._regroup(seen, owner, expected, step_s)
        boxes = boxes_of(seen)
        guests = self._guests(seen, boxes, owner, expected)
        tracks["votes"] *= np.exp(-step_s / self._rules.memory_s)
        alone = {number: row for number, row in owner.items() if number not in guests}
        self._see(seen, boxes, alone, size_hw[1], now_s)
        are_parts = _parts(seen, boxes)
        sightings = [Sighting(row, seen[number], are_parts[number]) for number, row in alone.items()]
        for number, others in guests.items():
            sightings += self._share(seen[number], [owner[number], *others], expected, now_s)
        return sightings + [self._welcome(seen[number], now_s) for number in range(len(seen)) if number not in owner]

    def confirm(self, rows: Longs, sightings: Sequence[Sighting], urgent: Flags, height: int) -> Flags:
        """Give ids to those whom enough speaks for, so that scraps that flicker use up none.

        Args:
            rows: (N,) of the table, of those who are seen.
            sightings: The same, with what is seen of them.
            urgent: (N,) who is believed at once.
            height: Of the picture.

        Returns:
            (N,) who has an id. Who had one keeps it.
        """
        whole_px = self._rules.whole_px * (height / 360.0) ** 2
        users = [sighting.user for sighting in sightings]
        worth = np.array([user.confidence * min(user.area_px / whole_px, 1.0) for user in users], np.float64)
        self._next_id, known = _confirm(self.tracks, rows, worth, urgent, self._rules.sure, self._next_id)
        return known

    def _uncut(self, seen: list[RoadUser], owner: dict[int, int], boxes: Floats, expected: Floats) -> None:
        """Undo cuts through a blob that contradict those who have been followed so far.

        Two people who pass each other are cut now between their heads, now between an arm and a back. Cuts through rows
        of vehicles are surer: one part that fits speaks for all of them, since a neighbour that was hidden in part, or
        that leaves the picture, is often expected wrongly.
        """
        rows_of = defaultdict(list)
        clusters = touching(boxes).tolist()
        for number, row in owner.items():
            if self.tracks[row]["sightings"] >= self._rules.settled:
                rows_of[clusters[number]].append((row, number))
        groups = []
        for cluster, pairs in rows_of.items():
            parts = [number for number, other in enumerate(clusters) if other == cluster]
            if len(pairs) < 2 or len(parts) < 2:
                continue
            fits = [overlap(expected[row], boxes[number]) for row, number in pairs]
            speaks = max if self.tracks[pairs[0][0]]["kind"] == VEHICLE else min
            if speaks(fits) < self._rules.fit:
                best = max(zip(fits, pairs, strict=True))[1]
                groups.append(([best[1], *(number for number in parts if number != best[1])], best[0]))
        _join_groups(seen, owner, groups)

    def _regroup(self, seen: list[RoadUser], owner: dict[int, int], expected: Floats, step_s: float) -> None:
        """Put those together again who were cut by mistake: all pieces lie where one road user is expected.

        Joined pieces take the place of the first; the others are taken off the list.
        """
        loose = [number for number in range(len(seen)) if number not in owner]
        tracks, rules = self.tracks, self._rules
        regrouped = np.zeros(len(tracks), np.bool_)
        groups: list[tuple[list[int], int]] = []
        open_to = (tracks["sightings"] >= rules.settled) & (tracks["regrouped_s"] <= rules.regroup_s)
        due_px = tracks["fill"] * (expected[:, 2] - expected[:, 0]) * (expected[:, 3] - expected[:, 1])
        for number, row in owner.items() if loose else ():
            if not open_to[row] or seen[number].area_px > 0.8 * due_px[row]:
                continue
            whole = expected[row]
            around = whole + _margin(whole)
            pieces = [
                other
                for other in loose
                if kind_of(seen[other].class_name) == tracks[row]["kind"]
                and covered_px(seen[other], around) >= 0.9 * seen[other].area_px
            ]
            if pieces:
                groups.append(([number, *pieces], row))
                loose = [other for other in loose if other not in pieces]
                regrouped[row] = True
        tracks["regrouped_s"] = np.where(regrouped, tracks["regrouped_s"] + step_s, 0.0)
        _join_groups(seen, owner, groups)

    def _guests(
        self, seen: list[RoadUser], boxes: Floats, owner: dict[int, int], expected: Floats
    ) -> dict[int, list[int]]:
        """Who is expected in a blob that is taken for somebody else: by number of the blob, their rows."""
        tracks = self.tracks
        guests: dict[int, list[int]] = {}
        absent = np.ones(len(tracks), np.bool_)
        absent[list(owner.values())] = False
        absent &= tracks["sightings"] >= self._rules.settled
        due_px = tracks["fill"] * (expected[:, 2] - expected[:, 0]) * (expected[:, 3] - expected[:, 1])
        possible = shared_px(expected, boxes) >= self._rules.covered * due_px[:, None]
        for row in np.flatnonzero(absent & possible.any(axis=1)).tolist():
            shares = {
                number: covered_px(seen[number], expected[row]) / due_px[row]
                for number in np.flatnonzero(possible[row]).tolist()
                if number in owner and kind_of(seen[number].class_name) == tracks[row]["kind"]
            }
            host = max(shares, key=shares.__getitem__, default=None)
            if host is not None and shares[host] >= self._rules.covered:
                guests.setdefault(host, []).append(row)
        return guests

    def _share(self, blob: RoadUser, rows: list[int], expected: Floats, now_s: float) -> list[Sighting]:
        boxes, doubts = align(np.array(blob.box_xyxy, np.float64), expected[rows])
        parts = share_out(blob, boxes, self.tracks["fill"][rows])
        shown = [k for k, part in enumerate(parts) if part is not None]
        whose = np.array(rows, np.int64)[shown]
        correct_boxes(self.tracks, whose, boxes[shown], doubts[shown])
        self.tracks["seen_s"][whose] = now_s
        return [Sighting(row, part, is_part=True) for row, part in zip(rows, parts, strict=True) if part is not None]

    def _see(self, seen: list[RoadUser], boxes: Floats, owner: dict[int, int], width: int, now_s: float) -> None:
        """Take in those who have a blob for themselves."""
        if not owner:
            return
        tracks, numbers, rows = self.tracks, list(owner), np.array(list(owner.values()), np.int64)
        hidden = hidden_sides(boxes, width)[numbers]
        boxes = boxes[numbers]
        correct_boxes(tracks, rows, *complete(boxes, np.exp(tracks["box"][rows, 2]), hidden))
        areas = np.array([seen[number].area_px for number in numbers], np.float64)
        tracks["fill"][rows] += 0.3 * (areas / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - tracks["fill"][rows])
        tracks["votes"][rows, [NAMES.index(seen[number].class_name) for number in numbers]] += 1.0
        tracks["seen_s"][rows] = now_s
        tracks["sightings"][rows] += 1

    def _welcome(self, user: RoadUser, now_s: float) -> Sighting:
        """Somebody new."""
        row, box = new_track(user, now_s), np.array(user.box_xyxy, np.float64)
        row["fill"] = user.area_px / ((box[2] - box[0]) * (box[3] - box[1]))
        table = np.array([row], TRACK)
        start_box(table, box)
        self.tracks = np.concatenate([self.tracks, table])
        return Sighting(len(self.tracks) - 1, user)


@kernel()
def _confirm(tracks: Tracks, rows: Longs, worth: Floats, urgent: Flags, sure: float, next_id: int) -> tuple[int, Flags]:
    """The next id that is free, and (N,) who has one; `worth` (N,) is what a sighting counts as evidence."""
    known = np.ones(len(rows), np.bool_)
    for n in range(len(rows)):
        track = tracks[rows[n]]
        track["evidence"] += worth[n]
        if track["id"] == 0:
            if urgent[n] or track["evidence"] >= sure:
                track["id"] = next_id
                next_id += 1
            else:
                known[n] = False
    return next_id, known


def _parts(seen: list[RoadUser], boxes: Floats) -> list[bool]:
    """Which vehicles are parts of a row: their boxes meet in a cut."""
    clusters = touching(boxes).tolist()
    sizes = Counter(clusters)
    return [
        sizes[cluster] > 1 and kind_of(user.class_name) == VEHICLE for cluster, user in zip(clusters, seen, strict=True)
    ]


def _join_groups(seen: list[RoadUser], owner: dict[int, int], groups: list[tuple[list[int], int]]) -> None:
    """Put groups of pieces in the places of their first ones, each for one row; the others are taken off the list."""
    gone: set[int] = set()
    for numbers, row in groups:
        seen[numbers[0]] = join([seen[number] for number in numbers])
        for number in numbers:
            owner.pop(number, None)
        owner[numbers[0]] = row
        gone.update(numbers[1:])
    if gone:
        kept = [number for number in range(len(seen)) if number not in gone]
        place = {number: index for index, number in enumerate(kept)}
        moved = {place[number]: row for number, row in owner.items()}
        seen[:] = [seen[number] for number in kept]
        owner.clear()
        owner.update(moved)


def _margin(box: Floats) -> Floats:
    """What a box is widened by to all sides: a tenth of its width, and two pixels."""
    return np.asarray((2.0 + 0.1 * (box[2] - box[0])) * np.array([-1.0, -1.0, 1.0, 1.0]))
