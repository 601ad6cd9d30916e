"""How well road users are recognised: the first views of each against the last, of the same one and of all others.

    python benchmarks/instances.py                    # rendered drives, true masks and ids
    python benchmarks/instances.py drive.mp4 ...      # recordings, the network's masks, ids by tracking

Two looks at one road user, each the mean of some views, are as if it had left and returned; looks at two of one class
are two who must be told apart. Gives the area under the ROC curve, and what the thresholds of `Recogniser` make of it.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.instances import RecognitionRules, describe
from pipeline.scene import RoadUser
from pipeline.synthetic import SyntheticDrive, SyntheticFrame

Key = tuple[str, str, int]
Look = NDArray[np.float32]
RULES = RecognitionRules()
KINDS = {"people": ("person", "rider"), "vehicles": ("car",)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="*", metavar="RECORDING", help="what replay takes")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(11, 19)), help="of rendered drives")
    parser.add_argument("--frames", type=int, default=300, help="of each recording")
    args = parser.parse_args()
    views: dict[Key, list[Look]] = defaultdict(list)
    if args.recordings:
        for address in args.recordings:
            _view_recording(address, args.frames, views)
    else:
        for seed in args.seeds:
            _view_drive(seed, views)
    for kind, names in KINDS.items():
        threshold = RULES.people_score if kind == "people" else RULES.vehicle_score
        _report(kind, {key: seen for key, seen in views.items() if key[1] in names}, threshold)


def _view_drive(seed: int, views: dict[Key, list[Look]]) -> None:
    drive = SyntheticDrive(seed, frame_count=48, frame_rate_hz=5.0)
    for index in range(len(drive)):
        frame = drive.render(index)
        for user in _true_users(frame):
            if user.mask.mean() > 0.25 and _is_whole(user, drive.size_hw):
                views[str(seed), user.class_name, user.id].append(describe(frame.image, user))


def _true_users(frame: SyntheticFrame) -> Iterator[RoadUser]:
    for user in frame.road_users:
        x1, y1, x2, y2 = user.box_xyxy
        mask = (frame.instance_ids[y1:y2, x1:x2] == user.id).astype(np.uint8)
        yield RoadUser(user.id, user.class_name, user.box_xyxy, (0.0, 0.0), int(mask.sum()), 1.0, mask)


def _view_recording(address: str, count: int, views: dict[Key, list[Look]]) -> None:
    from engines.artifact import find_model, load_artifact
    from engines.factory import choose_input_size, open_engine
    from pipeline.perception import Perception
    from pipeline.sources import open_source
    from pipeline.timings import StageTimings

    source, artifact = open_source(address), load_artifact(find_model("clearway-lite"))
    engine = open_engine(artifact, size_hw=choose_input_size(artifact, source.info.size_hw))
    tracking, viewed_s = _open_tracking(), dict[int, float]()
    with Perception(engine, StageTimings(), smooth=True) as perception:
        for frame in source.frames():
            if frame.index >= count:
                break
            for user in tracking.follow(perception.see(frame)).road_users:
                if frame.source_time_s - viewed_s.get(user.id, -1.0) < RULES.every_s:
                    continue
                if _is_whole(user, frame.size_hw):
                    viewed_s[user.id] = frame.source_time_s
                    views[address, user.class_name, user.id].append(describe(frame.image, user))
    source.close()


def _open_tracking() -> Any:
    from pipeline.tracking import Tracking

    return Tracking(None)


def _is_whole(user: RoadUser, size_hw: tuple[int, int]) -> bool:
    x1, y1, x2, y2 = user.box_xyxy
    inside = x1 > 1 and y1 > 1 and x2 < size_hw[1] - 1 and y2 < size_hw[0] - 1
    return inside and y2 - y1 >= RULES.least_height_px


def _report(kind: str, views: dict[Key, list[Look]], threshold: float) -> None:
    keys = [key for key, seen in views.items() if len(seen) >= 2 * RULES.views]
    if len(keys) < 3:
        print(f"{kind}: only {len(keys)} were seen long enough")
        return
    first = np.array([_mean(views[key][: RULES.views]) for key in keys])
    last = np.array([_mean(views[key][-RULES.views :]) for key in keys])
    scores = first @ last.T
    strangers = np.array([[a[1] == b[1] and a != b for b in keys] for a in keys])
    same, other = np.diag(scores), scores[strangers]
    area = (same[:, None] > other[None]).mean()
    print(
        f"{kind}: {len(keys)} road users, {len(other)} pairs of strangers; area under the curve {area:.3f}; "
        f"at {threshold:g}: {(same >= threshold).mean():.0%} recognised, "
        f"{(other >= threshold).mean():.2%} of pairs confused"
    )
    for share in (0.05, 0.01, 0.001):
        at = float(np.quantile(other, 1.0 - share))
        print(f"  with {share:.1%} of pairs confused ({at:.3f}): {(same >= at).mean():.0%} recognised")


def _mean(looks: list[Look]) -> Look:
    total = np.sum(looks, axis=0)
    return np.asarray(total / np.linalg.norm(total), np.float32)


if __name__ == "__main__":
    main()
