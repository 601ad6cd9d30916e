"""Road users over time: who is who from frame to frame, where they are on the road, where they go."""

from pipeline.tracking.tracking import Tracking, TrackingRules

__all__ = ["Tracking", "TrackingRules"]
