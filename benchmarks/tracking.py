"""What following road users costs beside preparing the network's input, in turns within one run.

    python benchmarks/tracking.py
    python benchmarks/tracking.py --seed 3 --frames 200

On the true classes of the rendered drive at 640x360, in processor time of one thread: `Tracking.follow` with a
calibrated camera, without one, its view of the vehicle's motion alone, and `Preprocessor.prepare` for comparison.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.following import CLEAR, FREE_SPACE, HALF_WIDTH_M, seen_truly
from engines.artifact import find_model, load_artifact
from evaluation.followed_drive import mean_view
from pipeline.metric import RoadScene
from pipeline.preprocess import Preprocessor
from pipeline.road import find_corridor
from pipeline.synthetic import SyntheticDrive
from pipeline.tracking import Tracking
from pipeline.tracking.odometer import RoadOdometer


def main() -> None:
    """Measure in turns, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, default=120)
    args = parser.parse_args()
    drive = SyntheticDrive(seed=args.seed, frame_count=args.frames)
    view = mean_view(drive)
    artifact = load_artifact(find_model("clearway-lite"))
    preprocessor = Preprocessor(artifact.spec((1, 3, 360, 640), (1, len(artifact.classes), 90, 160)))
    in_metres, in_pixels, odometer = Tracking(view), Tracking(None), RoadOdometer()
    spent_ms: dict[str, list[float]] = defaultdict(list)
    users: list[int] = []
    before_s = 0.0
    for _, scene in seen_truly(drive):
        scene.frame.image  # noqa: B018 - Converted here, so that nobody below is charged for it.
        road = RoadScene(view, find_corridor(scene, view, HALF_WIDTH_M), CLEAR, FREE_SPACE)
        step_s, before_s = scene.frame.source_time_s - before_s, scene.frame.source_time_s
        users.append(len(scene.road_users))
        for name, work in (
            ("prepare", lambda scene=scene: preprocessor.prepare([scene.frame])),
            ("follow, in metres", lambda scene=scene, road=road: in_metres.follow(scene, road)),
            ("follow, in pixels", lambda scene=scene: in_pixels.follow(scene)),
            (
                "vehicle's motion alone",
                lambda scene=scene, step_s=step_s: odometer.look(scene.frame, scene.drivable.mask, view, step_s),
            ),
        ):
            began_s = time.thread_time()
            work()
            spent_ms[name].append((time.thread_time() - began_s) * 1e3)
    print(f"640x360, {args.frames} frames, {np.mean(users):.1f} road users a frame; processor time, medians")
    base = float(np.median(spent_ms["prepare"][10:]))
    for name, spent in spent_ms.items():
        median = float(np.median(spent[10:]))
        print(f"{name:>24} {median:6.2f} ms, {median / base:5.2f} of prepare")


if __name__ == "__main__":
    main()
