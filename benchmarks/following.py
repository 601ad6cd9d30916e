"""How well road users are followed on the rendered drive, whose truth is exact.

    python benchmarks/following.py --seeds 1 2 3
    python benchmarks/following.py --seeds 1 2 3 --network

The classes are the true ones (ids are not: road users are cut out of the class map as always), or with --network those
of clearway-lite. The camera's pose is its mean over the drive, as `calibrate ground` would find it. The corridor is
found from masks and the vehicle's motion as `pipeline.situation` does; with --true-corridor it is the lane that the
vehicle keeps to, which leaves the corridor's own errors out. Who counts: `evaluation.followed_drive`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines.artifact import find_model, load_artifact
from engines.classes import CITYSCAPES
from engines.factory import open_engine
from evaluation.followed_drive import FollowedDrive, Pairs, mean_view, true_corridor
from evaluation.following import Identity
from pipeline.metric import ClearDistance, FreeSpace, RoadScene
from pipeline.perception import Perception
from pipeline.postprocess import OBSTACLES, encode_runs, find_drivable, find_road_users
from pipeline.road import find_corridor
from pipeline.road.corridor_filter import CorridorFilter
from pipeline.scene import Frame, Scene, Segmentation
from pipeline.synthetic import SyntheticDrive, SyntheticFrame
from pipeline.timings import StageTimings
from pipeline.tracking import Tracking, TrackingRules

HALF_WIDTH_M = 1.1
FRAME_RATE_HZ = 30.0
_NOTHING = np.zeros(0)
CLEAR = ClearDistance(0.0, 0.0, is_open=True, place_px=None)
FREE_SPACE = FreeSpace(_NOTHING, np.zeros((0, 2)), _NOTHING, _NOTHING)
_OBSTACLES = [entry.train_id for entry in CITYSCAPES if entry.name in OBSTACLES]


def main() -> None:
    """Follow, and print medians and 95th percentiles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--network", action="store_true", help="see with clearway-lite instead of the true classes")
    parser.add_argument("--true-corridor", action="store_true", help="the lane itself instead of what the mask shows")
    args = parser.parse_args()
    identities: dict[str, list[Identity]] = {"all": [], "people": [], "vehicles": []}
    pairs, ids = Pairs([]), 0
    for seed in args.seeds:
        figures = follow(seed, args.frames, network=args.network, true_path=args.true_corridor)
        for group, found in identities.items():
            found.append(figures.identity(group))
        pairs, ids = pairs + figures.pairs, ids + figures.ids
        print(
            f"seed {seed}:", ", ".join(_identity(group, found[-1:]) for group, found in identities.items()), flush=True
        )
    print("all:", ", ".join(_identity(group, found) for group, found in identities.items()))
    print(f"ids a second: {ids * FRAME_RATE_HZ / (args.frames * len(args.seeds)):.2f}")
    _print_metres(pairs.where(pairs["distance_m"] <= 40.0))


def follow(seed: int, frames: int, *, network: bool, true_path: bool) -> FollowedDrive:
    """Follow everybody through one drive."""
    drive = SyntheticDrive(seed=seed, frame_count=frames, frame_rate_hz=FRAME_RATE_HZ)
    view, rules = mean_view(drive), TrackingRules()
    tracking, figures = Tracking(view, rules), FollowedDrive(drive, HALF_WIDTH_M + rules.path.margin_m)
    corridors, motion = CorridorFilter(), None
    for frame, scene in seen_by_network(drive) if network else seen_truly(drive):
        if true_path:
            corridor = true_corridor(drive, frame.index, HALF_WIDTH_M)
        else:
            corridor = corridors.update(find_corridor(scene, view, HALF_WIDTH_M), frame.time_s, motion)
        followed = tracking.follow(scene, RoadScene(view, corridor, CLEAR, FREE_SPACE))
        motion = followed.road.motion if followed.road is not None else None
        figures.add(frame, followed)
    return figures


def seen_truly(drive: SyntheticDrive) -> Iterator[tuple[SyntheticFrame, Scene]]:
    """Scenes as a network that makes no mistake would see them."""
    for index in range(len(drive)):
        frame = drive.render(index)
        runs, confidence = encode_runs(frame.class_ids), np.ones((45, 80), np.float32)
        yield (
            frame,
            Scene(
                _picture(frame),
                Segmentation(frame.class_ids, CITYSCAPES, confidence),
                find_drivable(runs, 0, _OBSTACLES),
                find_road_users(runs, CITYSCAPES, confidence),
            ),
        )


def seen_by_network(drive: SyntheticDrive) -> Iterator[tuple[SyntheticFrame, Scene]]:
    """Scenes as clearway-lite sees them, smoothed as in videos."""
    engine = open_engine(load_artifact(find_model("clearway-lite")), size_hw=drive.size_hw, threads=1)
    with Perception(engine, StageTimings(), smooth=True) as perception:
        for index in range(len(drive)):
            frame = drive.render(index)
            yield frame, perception.see(_picture(frame))


def _picture(frame: SyntheticFrame) -> Frame:
    size_hw = (frame.image.shape[0], frame.image.shape[1])
    return Frame(frame.index, frame.time_s, 0.0, size_hw, frame.image.copy)


def _identity(group: str, found: list[Identity]) -> str:
    due, given, right, seen = (sum(getattr(one, name) for one in found) for name in ("due", "given", "right", "found"))
    switches = sum(one.switches for one in found)
    total = max(due + given, 1)
    return (
        f"{group} IDF1 {2 * right / total:.3f} (no id could do better than {2 * seen / total:.3f}), {switches} switches"
    )


def _print_metres(pairs: Pairs) -> None:
    foot, settled = pairs["foot_seen"] > 0, pairs["followed_s"] >= 0.5
    for name, chosen in (
        ("all", foot | ~foot),
        ("foot seen", foot),
        ("foot seen, settled", foot & settled),
        ("  persons", foot & settled & (pairs["is_person"] > 0)),
        ("  cars", foot & settled & (pairs["is_car"] > 0)),
    ):
        some = pairs.where(chosen)
        print(
            f"{name:>20}: distance off by {_spread(some.relative_distance_off)}, "
            f"velocity by {_spread(some['velocity_off_mps'])} m/s, reached at 3 s by {_spread(some.reach_off_s)} s"
        )
    for edge_m in (0.0, 0.25):
        precision, recall = pairs.path_precision_recall(edge_m)
        print(f"in the path, {edge_m} m off its edge: precision {precision:.3f}, recall {recall:.3f}")


def _spread(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    if not len(values):
        return "nothing"
    return f"{np.median(values):.3f} / {np.quantile(values, 0.95):.3f} (n={len(values)})"


if __name__ == "__main__":
    main()
