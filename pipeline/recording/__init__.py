"""What the cameras of a live run saw, kept on disk: their own streams in segments, and the scenes beside them."""

from pipeline.recording.recorder import Recorder, RecorderStatus

__all__ = ["Recorder", "RecorderStatus"]
