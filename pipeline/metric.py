"""What is known of the road in metres: where it is clear, where the vehicle will drive, where everybody is.

All of it is in the road frame (x forward, y to the left, from the point under the camera; `pipeline.geometry`), and
none of it exists without a calibrated camera: what is unknown is None, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # What holds a scene need not load OpenCV.
    from pipeline.geometry import RoadView

__all__ = ["ClearDistance", "Corridor", "FreeSpace", "RoadScene", "VehicleMotion", "Whereabouts"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Corridor:
    """A strip of road, from under the camera forward.

    Attributes:
        half_width_m: Half of its width.
        slope: Direction of the road at the vehicle, against its heading: metres to the left for each metre ahead.
        curvature_1_m: Curvature of the road, positive to the left.
        covariance: (2, 2) of slope and curvature.
    """

    half_width_m: float
    slope: float
    curvature_1_m: float
    covariance: FloatArray

    def lateral_m(self, ahead_m: FloatArray) -> FloatArray:
        """(N,) how far to the left its middle runs at distances ahead."""
        return np.asarray(self.slope * ahead_m + 0.5 * self.curvature_1_m * ahead_m**2)

    def lateral_std_m(self, ahead_m: FloatArray) -> FloatArray:
        """(N,) standard deviations of that."""
        partial = np.stack([ahead_m, 0.5 * ahead_m**2], axis=1)
        return np.asarray(np.sqrt(np.einsum("ni,ij,nj->n", partial, self.covariance, partial)))


@dataclass(frozen=True, slots=True)
class ClearDistance:
    """How far the strip is clear.

    Attributes:
        distance_m: Along the strip, from the point under the camera. What is not clear begins there.
        std_m: Its standard deviation, 0 where `is_open`.
        is_open: Nothing was in the way as far as one can see: the distance is at least this.
        place_px: (x, y) in the picture of what is in the way; None where nothing is, or where the strip cannot be seen
            at all, which counts as not clear.
    """

    distance_m: float
    std_m: float
    is_open: bool
    place_px: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class FreeSpace:
    """Where the clear road ends, column by column of the picture.

    Attributes:
        columns_px: (N,) centres of the columns.
        ends_m: (N, 2) where their clear road ends, in the road frame; NaN where there is none, or where it reaches the
            horizon.
        distance_m: (N,) ground distances of the ends; 0 where a column has no clear road, infinite where it reaches
            the horizon.
        distance_std_m: (N,) standard deviations; NaN where there is no end.
    """

    columns_px: FloatArray = field(repr=False)
    ends_m: FloatArray = field(repr=False)
    distance_m: FloatArray = field(repr=False)
    distance_std_m: FloatArray = field(repr=False)


@dataclass(frozen=True, slots=True)
class VehicleMotion:
    """How the vehicle itself moves over the road, as its camera sees it.

    Attributes:
        speed_mps: Forward.
        speed_std_mps: Its standard deviation.
        yaw_rate_rad_s: Turning, positive to the left.
        yaw_rate_std_rad_s: Its standard deviation.
    """

    speed_mps: float
    speed_std_mps: float
    yaw_rate_rad_s: float
    yaw_rate_std_rad_s: float


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a road user is and where it goes. Filtered over time where it has been followed.

    Attributes:
        position_m: (x, y) of its foot point in the road frame.
        distance_m: Ground distance from the point under the camera.
        distance_std_m: Its standard deviation.
        velocity_mps: (x, y) over the ground (not relative to the vehicle), along the axes of the road frame; None while
            it, or the vehicle's own motion, is not known.
        speed_std_mps: Standard deviation of each part of the velocity; None with it.
        in_path: Whether its foot point is inside the corridor, with the margin.
        enters_path_in_s: Seconds until it is inside, 0 where it is now, None where it will not be within the time
            that is looked ahead.
        time_to_reach_s: Seconds until the vehicle is where the road user will be, both going on as they do; None where
            they do not approach, or where that is not known.
        time_to_reach_std_s: Its standard deviation; None with it.
    """

    position_m: tuple[float, float]
    distance_m: float
    distance_std_m: float
    velocity_mps: tuple[float, float] | None = None
    speed_std_mps: float | None = None
    in_path: bool = False
    enters_path_in_s: float | None = None
    time_to_reach_s: float | None = None
    time_to_reach_std_s: float | None = None


@dataclass(frozen=True, eq=False, slots=True)
class RoadScene:
    """The road ahead, in metres.

    Attributes:
        view: The camera over the road as it is taken to be now: calibrated, and refined while driving.
        corridor: The strip that the vehicle will drive over.
        clear: How far that is clear.
        free_space: How far the road is clear in every direction.
        motion: How the vehicle moves; None while that is not known.
    """

    view: RoadView = field(repr=False)
    corridor: Corridor
    clear: ClearDistance
    free_space: FreeSpace
    motion: VehicleMotion | None = None
