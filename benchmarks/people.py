"""How many of the people that are found are people, by their confidence: python -m benchmarks.people --data DIR …

A person or rider counts as right where most of its pixels are a person or rider in the truth. What `AlertRules` asks of
confidence was chosen by this.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np

from engines.artifact import find_model, load_artifact
from engines.factory import choose_input_size, open_engine
from evaluation.labelled import FORMATS, open_labelled
from pipeline.perception import Perception
from pipeline.timings import StageTimings

_EDGES = (0.0, 0.3, 0.45, 0.6, 0.7, 1.0)
_PEOPLE = ("person", "rider")


def main() -> None:
    """Measure frame by frame, without smoothing or tracking; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, metavar="DIR", help="labelled data, one or several")
    parser.add_argument("--format", choices=FORMATS, default="camvid")
    parser.add_argument("--model", default="clearway-lite")
    args = parser.parse_args()

    artifact = load_artifact(find_model(args.model))
    confidences, shares = [], []
    for data in args.data:
        labelled = open_labelled(data, args.format)
        values = [label.value for label in labelled.scheme.labels if set(label.classes) & set(_PEOPLE)]
        engine = open_engine(artifact, size_hw=choose_input_size(artifact, labelled.size_hw))
        with Perception(engine, StageTimings()) as perception:
            for item in labelled.frames:
                truth = np.isin(item.label, values)
                for user in perception.see(item.frame).road_users:
                    if user.class_name in _PEOPLE:
                        x1, y1, x2, y2 = user.box_xyxy
                        confidences.append(user.confidence)
                        shares.append(float(truth[y1:y2, x1:x2][user.mask > 0].mean()))
    confidence, is_right = np.array(confidences), np.array(shares) > 0.5
    print(f"{len(confidence)} found, {is_right.mean():.0%} of them right")
    for low, high in pairwise(_EDGES):
        among = (confidence >= low) & (confidence <= high if high == 1.0 else confidence < high)
        print(f"confidence {low:.2f} to {high:.2f}: {among.sum():4} found, {is_right[among].mean():4.0%} right")


if __name__ == "__main__":
    main()
