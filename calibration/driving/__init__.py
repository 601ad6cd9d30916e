"""How a camera hangs over the road, found from a recording of a drive."""

from calibration.driving.ground import DriveGround, ground_from_drive

__all__ = ["DriveGround", "ground_from_drive"]
