"""The types that a line of scenes consists of, and how a scene becomes one."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np

from pipeline.metric import FreeSpace, RoadScene, VehicleMotion, Whereabouts
from pipeline.scene import CameraState, CameraView, RoadUser, Scene

__all__ = ["SCENE_SCHEMA", "SceneRecord", "scene_record"]

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
        float, msgspec.Meta(ge=0, le=1, description="Mean softmax probability of its pixels, to 4 decimals.")
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


def scene_record(scene: Scene) -> SceneRecord:
    """The line that describes a scene, as an object."""
    return SceneRecord(
        index=scene.frame.index,
        source_time_s=round(scene.frame.source_time_s, 6),
        drivable=DrivableRecord(
            area_px=int(scene.drivable.area_px),
            polygon=scene.drivable.polygon.tolist(),
            free_space_px=scene.drivable.free_space_px.tolist(),
        ),
        road_users=[_road_user_record(user) for user in scene.road_users],
        alerts=[AlertRecord(alert.kind, alert.message, dict(alert.evidence)) for alert in scene.alerts],
        camera=None if scene.camera is None else _camera_record(scene.camera),
        road=None if scene.road is None else _road_record(scene.road),
        visibility=None
        if scene.visibility is None
        else VisibilityRecord(
            round(scene.visibility.mask_confidence, 4), list(scene.visibility.causes), scene.visibility.is_low
        ),
    )


def _road_user_record(user: RoadUser) -> RoadUserRecord:
    known = user.recognition
    return RoadUserRecord(
        id=int(user.id),
        class_name=user.class_name,
        box_xyxy=tuple(int(edge) for edge in user.box_xyxy),  # type: ignore[arg-type]
        foot_px=(round(float(user.foot_px[0]), 2), round(float(user.foot_px[1]), 2)),
        area_px=int(user.area_px),
        confidence=round(float(user.confidence), 4),
        whereabouts=None if user.whereabouts is None else _whereabouts_record(user.whereabouts),
        recognition=None if known is None else RecognitionRecord(known.name, round(known.score, 4), known.is_new),
    )


def _whereabouts_record(there: Whereabouts) -> WhereaboutsRecord:
    return WhereaboutsRecord(
        position_m=_point(there.position_m),
        distance_m=round(there.distance_m, 3),
        distance_std_m=round(there.distance_std_m, 3),
        velocity_mps=None if there.velocity_mps is None else _point(there.velocity_mps),
        speed_std_mps=_rounded(there.speed_std_mps, 3),
        in_path=there.in_path,
        enters_path_in_s=_rounded(there.enters_path_in_s, 3),
        time_to_reach_s=_rounded(there.time_to_reach_s, 3),
    )


def _road_record(road: RoadScene) -> RoadRecord:
    clear, corridor, pose = road.clear, road.corridor, road.view.pose
    slope_std, curvature_std = np.sqrt(np.diag(corridor.covariance)).tolist()
    return RoadRecord(
        clear=ClearRecord(
            distance_m=round(clear.distance_m, 3),
            std_m=_rounded(clear.std_m, 3),
            is_open=clear.is_open,
            place_px=None if clear.place_px is None else (round(clear.place_px[0], 2), round(clear.place_px[1], 2)),
        ),
        corridor=CorridorRecord(
            half_width_m=round(corridor.half_width_m, 3),
            slope=round(corridor.slope, 6),
            slope_std=round(slope_std, 6),
            curvature_1_m=round(corridor.curvature_1_m, 7),
            curvature_std_1_m=round(curvature_std, 7),
        ),
        free_space=_free_space_record(road.free_space),
        motion=None if road.motion is None else _motion_record(road.motion),
        view=ViewRecord(
            height_m=round(pose.height_m, 4),
            pitch_rad=round(pose.pitch_rad, 6),
            roll_rad=round(pose.roll_rad, 6),
            yaw_rad=round(pose.yaw_rad, 6),
        ),
    )


def _free_space_record(space: FreeSpace) -> FreeSpaceRecord:
    columns = space.columns_px
    ends = np.round(space.ends_m, 2).tolist()
    distances = np.round(space.distance_m, 2).tolist()
    return FreeSpaceRecord(
        first_column_px=float(columns[0]) if len(columns) else 0.0,
        step_px=float(columns[1] - columns[0]) if len(columns) > 1 else 0.0,
        ends_m=[(x, y) if math.isfinite(x) else None for x, y in ends],
        distance_m=[distance if math.isfinite(distance) else None for distance in distances],
    )


def _motion_record(motion: VehicleMotion) -> MotionRecord:
    return MotionRecord(
        speed_mps=round(motion.speed_mps, 3),
        speed_std_mps=round(motion.speed_std_mps, 3),
        yaw_rate_rad_s=round(motion.yaw_rate_rad_s, 5),
        yaw_rate_std_rad_s=round(motion.yaw_rate_std_rad_s, 5),
    )


def _point(point: tuple[float, float]) -> tuple[float, float]:
    return round(float(point[0]), 3), round(float(point[1]), 3)


def _rounded(value: float | None, digits: int) -> float | None:
    """To so many digits; None for what is not known."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits)


def _camera_record(camera: CameraView) -> CameraRecord:
    return CameraRecord(
        name=camera.name,
        state=camera.state,
        age_ms=None if math.isnan(camera.age_ms) else round(camera.age_ms, 3),
        captured_unix_s=round(camera.captured_unix_s, 6),
        reason=camera.reason,
    )
