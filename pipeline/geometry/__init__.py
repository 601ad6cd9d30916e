"""From pixels to metres and back: the camera, how it hangs over the road, and how sure a distance is."""

from pipeline.geometry.camera_model import CameraModel
from pipeline.geometry.camera_pose import CameraPose
from pipeline.geometry.ground_refiner import GroundRefiner
from pipeline.geometry.road_view import RoadView
from pipeline.geometry.vanishing_point import VanishingPointFinder

__all__ = ["CameraModel", "CameraPose", "GroundRefiner", "RoadView", "VanishingPointFinder"]
