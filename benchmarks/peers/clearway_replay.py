"""Ours: a replay without outputs, which gives the class map and besides the drivable area and road users."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the peers' scripts are run by their paths

from witness import Witness, arguments

from engines.artifact import load_artifact
from engines.factory import choose_input_size, open_engines
from pipeline.capture import Capture
from pipeline.perception import Perception
from pipeline.runner import Runner
from pipeline.scene import BgrImage, Frame, Scene
from pipeline.sources import SourceInfo, open_source
from pipeline.timings import StageTimings


class WatchedSource:
    """A recording whose frames are asked for when they are due."""

    def __init__(self, uri: str, witness: Witness) -> None:
        self._source, self._witness = open_source(uri), witness
        self.info: SourceInfo = self._source.info

    def frames(self) -> Iterator[Frame]:
        """Every frame."""
        frames = self._source.frames()
        while True:
            self._witness.tick()
            frame = next(frames, None)
            if frame is None:
                return
            yield frame

    def close(self) -> None:
        """Free the decoder."""
        self._source.close()


class WatchingSink:
    """Takes class maps and does nothing with them."""

    name, needs_overlay, on_main_thread = "witness", False, False

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def write(self, scene: Scene, picture: BgrImage | None) -> None:  # noqa: ARG002
        """One scene is there."""
        self._witness.seen(scene.segmentation.class_ids)

    def close(self) -> None:
        """Nothing to close."""


def main() -> None:
    """Measure."""
    args = arguments()
    witness, timings = Witness(args.rate), StageTimings()
    source = WatchedSource(str(args.clip), witness)
    artifact = load_artifact(args.model)

    def open_perception() -> Perception:
        size_hw = choose_input_size(artifact, source.info.size_hw)
        assert size_hw == args.size, "the peers' network input differs from ours"
        # As `replay`: as fast as it goes several frames side by side, at a camera's pace one at a time.
        engine, *beside = open_engines(artifact, size_hw=size_hw, together=1 if args.rate else None)
        return Perception(engine, timings, beside=beside, smooth=args.variant == "smoothing")

    report = Runner(Capture(source, timings), open_perception, [WatchingSink(witness)], timings).run()
    witness.report(report.engine)


if __name__ == "__main__":
    main()
