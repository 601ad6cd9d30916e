"""A recording for a machine without recordings: a street rendered in perspective, with exact truth."""

from pipeline.synthetic.camera import SyntheticCamera
from pipeline.synthetic.drive import SyntheticDrive, SyntheticFrame, SyntheticRoadUser

__all__ = ["SyntheticCamera", "SyntheticDrive", "SyntheticFrame", "SyntheticRoadUser"]
