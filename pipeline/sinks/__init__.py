"""Where scenes go: video, scene files, label pictures, a window."""

from pipeline.sinks.base import Sink, SinkClosed
from pipeline.sinks.factory import OUTPUT_KINDS, open_sink

__all__ = ["OUTPUT_KINDS", "Sink", "SinkClosed", "open_sink"]
