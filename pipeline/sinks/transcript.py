"""From a scene to the line that describes it. What is not known is absent or null, and figures are rounded."""

from __future__ import annotations

import math

import numpy as np

from pipeline.geometry import RoadView
from pipeline.metric import FreeSpace, RoadScene, VehicleMotion, Whereabouts
from pipeline.road.occupancy import FREE, OCCUPIED, UNKNOWN, occupancy_grid
from pipeline.scene import CameraView, RoadUser, Scene
from pipeline.sinks.records import (
    AlertRecord,
    CameraRecord,
    ClearRecord,
    CorridorRecord,
    DrivableRecord,
    FreeSpaceRecord,
    GridRecord,
    MotionRecord,
    RecognitionRecord,
    RoadRecord,
    RoadUserRecord,
    SceneRecord,
    ViewRecord,
    VisibilityRecord,
    WhereaboutsRecord,
)

__all__ = ["scene_record"]

_GRID_CELL_M, _GRID_AHEAD_M, _GRID_ASIDE_M = 0.5, 40.0, 10.0
_CELLS = {UNKNOWN: "?", FREE: ".", OCCUPIED: "#"}


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
        road=None if scene.road is None else _road_record(scene, scene.road),
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
        time_to_reach_std_s=_rounded(there.time_to_reach_std_s, 3),
    )


def _road_record(scene: Scene, road: RoadScene) -> RoadRecord:
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
        grid=_grid_record(scene, road.view),
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


def _grid_record(scene: Scene, view: RoadView) -> GridRecord:
    """The occupancy grid, its rows by run lengths."""
    grid = occupancy_grid(scene, view, cell_m=_GRID_CELL_M, ahead_m=_GRID_AHEAD_M, aside_m=_GRID_ASIDE_M)
    count, width = grid.cells.shape
    begins = np.ones_like(grid.cells, np.bool_)
    begins[:, 1:] = grid.cells[:, 1:] != grid.cells[:, :-1]
    places = np.flatnonzero(begins)
    lengths = np.diff(places, append=count * width)
    rows = [""] * count
    for place, length, cell in zip(places.tolist(), lengths.tolist(), grid.cells.ravel()[places].tolist(), strict=True):
        rows[place // width] += f"{length}{_CELLS[cell]}"
    return GridRecord(grid.cell_m, grid.aside_m, rows)


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
