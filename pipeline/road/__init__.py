"""The road in metres: how far it is free, and where the vehicle's own strip of it runs."""

from pipeline.road.corridor import ClearDistance, Corridor, clear_distance, find_corridor
from pipeline.road.free_space import FreeSpace, free_space

__all__ = ["ClearDistance", "Corridor", "FreeSpace", "clear_distance", "find_corridor", "free_space"]
