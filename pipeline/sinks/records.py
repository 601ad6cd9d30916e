"""The types that a line of scenes consists of. Their schema is generated from them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from pipeline.scene import CameraState

__all__ = [
    "SCENE_SCHEMA",
    "AlertRecord",
    "CameraRecord",
    "ClearRecord",
    "CorridorRecord",
    "DrivableRecord",
    "FreeSpaceRecord",
    "GridRecord",
    "MotionRecord",
    "RecognitionRecord",
    "RoadRecord",
    "RoadUserRecord",
    "SceneRecord",
    "ViewRecord",
    "VisibilityRecord",
    "WhereaboutsRecord",
]

SCENE_SCHEMA = "clearway-scene/1"
"""Name and major version of the format: raised when a field goes or changes its meaning, not when one is added."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Point = Annotated[tuple[int, int], msgspec.Meta(description="(x, y) in pixels, x to the right, y down.")]


class DrivableRecord(msgspec.Struct, frozen=True):
    """The road that is connected to the vehicle's own lane ahead."""

    area_px: Annotated[Count, msgspec.Meta(description="Number of drivable pixels.")]
    polygon: Annotated[
        list[Point], msgspec.Meta(description="Outline, simplified to about 2 px; empty where no road is seen.")
    ]
    free_space_px: Annotated[
        list[Annotated[int, msgspec.Meta(ge=-1)]],
        msgspec.Meta(
            description="Per image column, the row of the far end of the clear road; -1 where there is none. "
            "Its length is the width of the image."
        ),
    ]


Metres = Annotated[tuple[float, float], msgspec.Meta(description="(x, y) in metres of the road frame.")]


class WhereaboutsRecord(msgspec.Struct, frozen=True):
    """Where a road user is and where it goes, in the road frame: x ahead, y to the left."""

    position_m: Metres
    distance_m: Annotated[float, msgspec.Meta(ge=0, description="Ground distance from the point under the camera.")]
    distance_std_m: Annotated[float, msgspec.Meta(ge=0, description="Its standard deviation.")]
    velocity_mps: Annotated[
        tuple[float, float] | None,
        msgspec.Meta(description="Over the ground, along the axes of the road frame; null while unknown."),
    ]
    speed_std_mps: Annotated[
        float | None, msgspec.Meta(description="Standard deviation of each part of the velocity; null with it.")
    ]
    in_path: Annotated[bool, msgspec.Meta(description="Its foot is inside the corridor, with a margin.")]
    enters_path_in_s: Annotated[
        float | None, msgspec.Meta(description="Seconds until it is in the path, 0 where it is; null: not soon.")
    ]
    time_to_reach_s: Annotated[
        float | None, msgspec.Meta(description="Seconds until the vehicle is there; null: never, or not known.")
    ]
    time_to_reach_std_s: Annotated[
        float | None, msgspec.Meta(description="Its standard deviation; null with it; absent in older files.")
    ] = None


class RecognitionRecord(msgspec.Struct, frozen=True):
    """Who a road user is among those that the database of instances knows."""

    name: Annotated[str, msgspec.Meta(description="Its name in the database.")]
    score: Annotated[float, msgspec.Meta(ge=-1, le=1, description="How alike the descriptors are.")]
    is_new: Annotated[bool, msgspec.Meta(description="Nobody known was alike enough: it was entered just now.")]


class RoadUserRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One person, rider or car."""

    id: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            description="The same from frame to frame where road users are followed (in videos); else it only "
            "distinguishes those of one scene.",
        ),
    ]
    class_name: Annotated[str, msgspec.Meta(description='"person", "rider" or "car".')] = msgspec.field(name="class")
    box_xyxy: Annotated[
        tuple[int, int, int, int],
        msgspec.Meta(description="(x1, y1, x2, y2) in pixels, half-open: x2 - x1 is the width."),
    ]
    foot_px: Annotated[
        tuple[float, float], msgspec.Meta(description="(x, y) where it stands: the middle of its lowest pixels.")
    ]
    area_px: Annotated[Count, msgspec.Meta(description="Number of its pixels.")]
    confidence: Annotated[
        float,
        msgspec.Meta(
            ge=0, le=1, description="Mean confidence of its pixels, calibrated where the model is, to 4 decimals."
        ),
    ]
    whereabouts: Annotated[
        WhereaboutsRecord | None,
        msgspec.Meta(description="In metres; absent without a calibrated camera, or where its foot is off the road."),
    ] = None
    recognition: Annotated[
        RecognitionRecord | None,
        msgspec.Meta(description="Absent where nobody asked, and as long as it is not sure."),
    ] = None


class ClearRecord(msgspec.Struct, frozen=True):
    """How far the corridor is clear."""

    distance_m: Annotated[
        float, msgspec.Meta(ge=0, description="Along the corridor; 0 where it cannot be seen, which is not clear.")
    ]
    std_m: Annotated[float | None, msgspec.Meta(description="Its standard deviation; 0 where is_open; null: unknown.")]
    is_open: Annotated[
        bool, msgspec.Meta(description="Nothing was in the way as far as one sees: the distance is at least this.")
    ]
    place_px: Annotated[
        tuple[float, float] | None,
        msgspec.Meta(description="(x, y) of what is in the way; null where nothing is, or nothing can be seen."),
    ]


class CorridorRecord(msgspec.Struct, frozen=True):
    """The strip of road that the vehicle will drive over: y = slope x + curvature x² / 2."""

    half_width_m: Annotated[float, msgspec.Meta(gt=0)]
    slope: Annotated[float, msgspec.Meta(description="Metres to the left for each metre ahead, at the vehicle.")]
    slope_std: Annotated[float, msgspec.Meta(ge=0)]
    curvature_1_m: Annotated[float, msgspec.Meta(description="Positive to the left.")]
    curvature_std_1_m: Annotated[float, msgspec.Meta(ge=0)]


class FreeSpaceRecord(msgspec.Struct, frozen=True):
    """Where the clear road ends, for columns of the picture at equal spacing."""

    first_column_px: Annotated[float, msgspec.Meta(description="Centre of the first column.")]
    step_px: Annotated[float, msgspec.Meta(description="Spacing of the columns.")]
    ends_m: Annotated[
        list[tuple[float, float] | None],
        msgspec.Meta(description="(x, y) in the road frame; null where there is no clear road, or no end of it."),
    ]
    distance_m: Annotated[
        list[float | None],
        msgspec.Meta(description="Ground distances of the ends; 0: no clear road; null: clear to the horizon."),
    ]


class GridRecord(msgspec.Struct, frozen=True):
    """The road plane in square cells: cell (i, j) is at x = (i + 0.5) cell_m, y = aside_m - (j + 0.5) cell_m."""

    cell_m: Annotated[float, msgspec.Meta(gt=0, description="Side of a cell.")]
    aside_m: Annotated[float, msgspec.Meta(gt=0, description="How far the grid reaches to each side.")]
    rows: Annotated[
        list[str],
        msgspec.Meta(
            description='The nearest row first; in a row, from left to right, how many cells and what they are: "." '
            'free, "#" occupied, "?" unknown, as in "14?9.2#15?".'
        ),
    ]


class MotionRecord(msgspec.Struct, frozen=True):
    """How the vehicle moves, as its camera sees it."""

    speed_mps: float
    speed_std_mps: Annotated[float, msgspec.Meta(ge=0)]
    yaw_rate_rad_s: Annotated[float, msgspec.Meta(description="Positive to the left.")]
    yaw_rate_std_rad_s: Annotated[float, msgspec.Meta(ge=0)]


class ViewRecord(msgspec.Struct, frozen=True):
    """How the camera hangs over the road, as it is taken to be at that moment."""

    height_m: Annotated[float, msgspec.Meta(gt=0)]
    pitch_rad: float
    roll_rad: float
    yaw_rad: float


class RoadRecord(msgspec.Struct, frozen=True):
    """The road ahead in metres of the road frame: x ahead, y to the left, from the point under the camera."""

    clear: ClearRecord
    corridor: CorridorRecord
    free_space: FreeSpaceRecord
    motion: Annotated[MotionRecord | None, msgspec.Meta(description="null while it is not known.")]
    view: ViewRecord
    grid: Annotated[
        GridRecord | None, msgspec.Meta(description="Where the road plane is free; absent in older files.")
    ] = None


class VisibilityRecord(msgspec.Struct, frozen=True):
    """How far the mask can be trusted."""

    mask_confidence: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="Share of the pixels ahead that one may expect to be right.")
    ]
    causes: Annotated[list[str], msgspec.Meta(description="What makes it hard to see, the worst first.")]
    is_low: Annotated[
        bool, msgspec.Meta(description="The road cannot be told: drivable is empty, and nothing is clear.")
    ]


class AlertRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something the driver or another program should know now."""

    kind: Annotated[str, msgspec.Meta(description="What kind of alert, for programs.")]
    message: Annotated[str, msgspec.Meta(description="The evidence in words, for people.")]
    evidence: Annotated[
        dict[str, float], msgspec.Meta(description="The figures behind it, units in their names; absent without any.")
    ] = {}


class CameraRecord(msgspec.Struct, frozen=True):
    """The live camera that a scene comes from."""

    name: Annotated[str, msgspec.Meta(description="Which camera.")]
    state: Annotated[
        CameraState,
        msgspec.Meta(description='What it was doing. Unless "live" there was no picture, and nothing is claimed.'),
    ]
    age_ms: Annotated[
        float | None,
        msgspec.Meta(
            description="Milliseconds from capture to result; without a picture, since the last one; null before the "
            "first."
        ),
    ]
    captured_unix_s: Annotated[
        float, msgspec.Meta(description="When the frame was captured, in seconds since 1970 (UTC).")
    ]
    reason: Annotated[str, msgspec.Meta(description="Why there is no picture; empty where there is one.")]


class SceneRecord(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="schema", tag=SCENE_SCHEMA):
    """What is known of the road at one moment: one line of the file."""

    index: Annotated[
        Count,
        msgspec.Meta(
            description="Position of the frame in the run, from 0. Of a live camera, among all frames that it gave: "
            "numbers that are missing were dropped. A line without a picture carries the number that is awaited."
        ),
    ]
    source_time_s: Annotated[
        float,
        msgspec.Meta(
            description="Time within the recording in seconds, to the microsecond; of a live camera, since the run "
            "began."
        ),
    ]
    drivable: DrivableRecord
    road_users: Annotated[list[RoadUserRecord], msgspec.Meta(description="Who is there, largest first.")]
    alerts: Annotated[list[AlertRecord], msgspec.Meta(description="What deserves attention; usually empty.")]
    camera: Annotated[
        CameraRecord | None, msgspec.Meta(description="The live camera it comes from; absent in a replay.")
    ] = None
    road: Annotated[
        RoadRecord | None, msgspec.Meta(description="The road in metres; absent without a calibrated camera.")
    ] = None
    visibility: Annotated[
        VisibilityRecord | None, msgspec.Meta(description="Absent where it was not judged, as without a picture.")
    ] = None
