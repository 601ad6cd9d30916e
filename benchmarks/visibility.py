"""Whether false road is claimed without `low_confidence`, on real pictures under rendered darkness, weather and dirt.

    python benchmarks/visibility.py camvid:DIR [RECORDING ...]

Every recording is played clean, then under each corruption in five severities, through the network with smoothing and
`VisibilityJudge`. False road is claimed where more than a twentieth of the picture is in the drivable area and is no
road: by the labels of CamVid; in other recordings, by the drivable area of the clean picture.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from engines.artifact import find_model, load_artifact
from engines.factory import EngineKind, choose_input_size, open_engine
from evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from evaluation.labelled import open_labelled
from pipeline.perception import Perception
from pipeline.scene import Frame, Scene
from pipeline.sources import open_source
from pipeline.timings import StageTimings
from pipeline.visibility import VisibilityJudge

_FALSE_SHARE = 0.05
_CAMVID_HZ = 15.0
"""Of the labelled frames of CamVid's 0016E5; those of other recordings lie a second or more apart."""


@dataclass(frozen=True)
class Moment:
    """A frame, and where there is no road; None: where the clean picture shows none."""

    frame: Frame
    no_road: NDArray[np.bool_] | None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="+", metavar="RECORDING", help="camvid:DIR, or what replay takes")
    parser.add_argument("--frames", type=int, default=60, help="of each recording")
    parser.add_argument("--every", type=int, default=1, help="take every so many of a recording's frames")
    parser.add_argument("--kinds", nargs="+", choices=CORRUPTIONS, default=list(CORRUPTIONS), help="of corruption")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--threads", type=int, default=None)
    args = parser.parse_args()
    artifact = load_artifact(find_model("clearway-lite"))
    for address in args.recordings:
        moments = list(itertools.islice(itertools.islice(_moments(address), 0, None, args.every), args.frames))
        size_hw = choose_input_size(artifact, moments[0].frame.size_hw)
        engine = open_engine(artifact, kind=cast("EngineKind", args.engine), size_hw=size_hw, threads=args.threads)
        with Perception(engine, StageTimings(), smooth=True) as perception:
            _report(address, moments, perception, args.kinds)


def _moments(address: str) -> Iterator[Moment]:
    if not address.startswith("camvid:"):
        source = open_source(address)
        yield from (Moment(frame, None) for frame in source.frames())
        source.close()
        return
    labelled = open_labelled(address.removeprefix("camvid:"), "camvid")
    road, void = labelled.scheme.values_within("road"), 11
    time_s = 0.0
    for item in labelled.frames:
        time_s += 1.0 / _CAMVID_HZ if item.follows else 10.0
        frame = dataclasses.replace(item.frame, source_time_s=time_s)
        yield Moment(frame, ~road[item.label] & (item.label != void))


def _report(address: str, moments: list[Moment], perception: Perception, kinds: list[str]) -> None:
    print(
        f"\n{address}: {len(moments)} frames, {moments[-1].frame.source_time_s - moments[0].frame.source_time_s:.1f} s"
    )
    clean, low, costs_ms = _play(moments, perception, None)
    truths = [
        moment.no_road if moment.no_road is not None else scene.drivable.mask == 0
        for moment, scene in zip(moments, clean, strict=True)
    ]
    false = _false(clean, truths)
    print(
        f"clean: false road {false.mean():.1%}, low confidence {low.mean():.1%}; judging {np.median(costs_ms):.3f} ms"
    )
    print("corruption  severity: false road / low confidence / false road without low confidence, shares of the frames")
    for kind in kinds:
        cells = []
        for severity in SEVERITIES:
            scenes, low, _ = _play(moments, perception, (kind, severity))
            false = _false(scenes, truths)
            cells.append(f"{false.mean():4.0%} {low.mean():4.0%} {(false & ~low).mean():5.1%}")
        print(f"{kind:8} " + "  |  ".join(cells), flush=True)


def _play(
    moments: list[Moment], perception: Perception, corruption: tuple[str, int] | None
) -> tuple[list[Scene], NDArray[np.bool_], list[float]]:
    perception.forget()
    judge, scenes, low, costs_ms = VisibilityJudge(), [], [], []
    for number, moment in enumerate(moments):
        scene = perception.see(moment.frame if corruption is None else _worsened(moment.frame, *corruption, number))
        began_s = time.perf_counter()
        low.append(judge.judge(scene).is_low)
        costs_ms.append(1e3 * (time.perf_counter() - began_s))
        scenes.append(scene)
    return scenes, np.array(low), costs_ms


def _worsened(frame: Frame, kind: str, severity: int, number: int) -> Frame:
    image = corrupt(frame.image, kind, severity, place=severity, moment=number)
    return Frame(
        frame.index, frame.source_time_s, frame.captured_at_s, frame.size_hw, image.copy, frame.name, frame.camera
    )


def _false(scenes: list[Scene], no_road: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    return np.array(
        [
            ((scene.drivable.mask > 0) & truth).mean() > _FALSE_SHARE
            for scene, truth in zip(scenes, no_road, strict=True)
        ]
    )


if __name__ == "__main__":
    main()
