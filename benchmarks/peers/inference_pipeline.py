"""Peer: Roboflow's `InferencePipeline` with our network as custom logic.

It decodes in a thread of its own, reads ahead up to its usual buffer, and loses nothing of a file.
"""

from __future__ import annotations

import logging
import os
from importlib.metadata import version

from user_code import Segmenter
from witness import Witness, arguments


def main() -> None:
    """Measure."""
    args = arguments()
    segment, witness = Segmenter(args.model, args.size), Witness(args.rate)
    # Before the import: nothing is asked of the network.
    os.environ.update(METRICS_ENABLED="False", TELEMETRY_OPT_OUT="True", OFFLINE_MODE="True")
    logging.disable(logging.WARNING)
    from inference import InferencePipeline
    from streamvision.camera.video_source import CV2VideoFrameProducer

    class WatchedProducer(CV2VideoFrameProducer):
        """Its own reader of files, whose frames are asked for when they are due."""

        def grab(self) -> bool:
            witness.tick()
            return super().grab()

    pipeline = InferencePipeline.init_with_custom_logic(
        video_reference=lambda: WatchedProducer(str(args.clip)),
        on_video_frame=lambda frames: [segment(frame.image) for frame in frames],
        on_prediction=lambda class_map, _: witness.seen(class_map),
    )
    pipeline.start(use_main_thread=True)
    pipeline.join()
    witness.report(f"inference {version('inference')}, {segment.engine}")


if __name__ == "__main__":
    main()
