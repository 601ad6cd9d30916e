"""The road in metres: how far it is free, and where the vehicle's own strip of it runs."""

from pipeline.road.clear_distance import clear_distance
from pipeline.road.corridor import find_corridor
from pipeline.road.free_space import free_space
from pipeline.road.occupancy import OccupancyGrid, occupancy_grid

__all__ = ["OccupancyGrid", "clear_distance", "find_corridor", "free_space", "occupancy_grid"]
