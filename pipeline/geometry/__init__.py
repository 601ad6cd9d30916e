"""From pixels to metres and back: the camera, how it hangs over the road, and how sure a distance is."""

from pipeline.geometry.camera_model import CameraModel
from pipeline.geometry.road_view import CameraPose, RoadView

__all__ = ["CameraModel", "CameraPose", "RoadView"]
