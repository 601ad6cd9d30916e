"""`SyntheticDrive`: a rendered recording of a street, with exact truth for every pixel and every road user."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.camera import SyntheticCamera, heading_rotation
from pipeline.synthetic.canvas import EMPTY_M, Canvas, View
from pipeline.synthetic.finish import develop
from pipeline.synthetic.ground import draw_ground_and_sky
from pipeline.synthetic.light import draw_light
from pipeline.synthetic.objects import (
    CAR,
    PERSON,
    RIDER,
    draw_objects,
    measure_instances,
    nearest_contacts,
    open_sky,
)  # fmt: skip
from pipeline.synthetic.street import build_street
from pipeline.synthetic.textures import sensor_noise, textures
from pipeline.synthetic.traffic import Motion, build_traffic
from pipeline.synthetic.walls import draw_walls

__all__ = ["SyntheticDrive", "SyntheticFrame", "SyntheticRoadUser"]

FloatArray = NDArray[np.float64]

_VIEW_M = 190.0
"""How far walls and furniture are drawn."""

_USERS_M = 120.0
"""How far road users are drawn and reported."""

_LONGEST_WALL_M = 28.0

_NAMES = {CAR: "car", PERSON: "person", RIDER: "rider"}


@dataclass(frozen=True, slots=True)
class SyntheticRoadUser:
    """The truth about one road user of one frame. Positions and velocities are in the road frame of `camera`.

    Attributes:
        id: The same through the whole drive; the value of its pixels in `SyntheticFrame.instance_ids`.
        class_name: ``"person"``, ``"rider"`` or ``"car"``.
        position_m: (x forward, y left, z up) of the middle of its footprint on the ground.
        foot_m: The point where it touches the ground lowest in the picture: heel or toe, or where a tyre stands.
        velocity_mps: (x, y) over the ground, along the axes of the road frame; not relative to the vehicle.
        distance_m: Ground distance from the point under the camera to `foot_m`.
        heading_rad: Where it faces, anticlockwise from the vehicle's heading.
        size_m: (length, width, height).
        box_xyxy: Half-open box of its visible pixels.
        visible_px: Number of them.
    """

    id: int
    class_name: str
    position_m: tuple[float, float, float]
    foot_m: tuple[float, float, float]
    velocity_mps: tuple[float, float]
    distance_m: float
    heading_rad: float
    size_m: tuple[float, float, float]
    box_xyxy: tuple[int, int, int, int]
    visible_px: int


@dataclass(frozen=True)
class SyntheticFrame:
    """One rendered picture and its truth.

    Attributes:
        index: Position in the drive.
        time_s: Time since its beginning.
        image: (H, W, 3) uint8 BGR.
        class_ids: (H, W) uint8 Cityscapes trainIds: road (with its markings) 0, sidewalk (with the kerb) 1, building 2,
            fence 4, pole 5, traffic sign 7, vegetation 8 (with grass), sky 10, person 11, rider (with the bicycle) 12,
            car 13. Every pixel has a class.
        instance_ids: (H, W) uint16: 0, or the id of the road user.
        depth_m: (H, W) float32 along the optical axis, exact for road, pavement, walls and cars, that of the middle for
            limbs, poles and crowns; infinite in the sky.
        road_users: Those with visible pixels, nearest first.
        camera: Where the picture was taken from.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8] = field(repr=False)
    class_ids: NDArray[np.uint8] = field(repr=False)
    instance_ids: NDArray[np.uint16] = field(repr=False)
    depth_m: NDArray[np.float32] = field(repr=False)
    road_users: tuple[SyntheticRoadUser, ...]
    camera: SyntheticCamera


@dataclass(frozen=True, slots=True)
class _Mount:
    """How the camera sits on the vehicle and how the vehicle's suspension moves it."""

    focal_ratio: float
    height_m: float
    pitch_rad: float
    roll_rad: float
    bounce: FloatArray


class SyntheticDrive:
    """A street seen from a moving vehicle. The same seed and size give the same bytes; frames need no order.

    Args:
        seed: Chooses street, light, traffic and camera.
        frame_count: Number of frames.
        size_hw: (H, W) in pixels.
        frame_rate_hz: Frames per second.
        threads: How many horizontal bands of a picture are drawn at the same time. With more than one, `close` must be
            called. Whatever their number, `render` serves one caller at a time.
    """

    def __init__(
        self,
        seed: int = 1,
        frame_count: int = 300,
        size_hw: tuple[int, int] = (360, 640),
        frame_rate_hz: float = 30.0,
        threads: int = 1,
    ) -> None:
        self.seed = seed
        self.frame_count = frame_count
        self.size_hw = size_hw
        self.frame_rate_hz = frame_rate_hz
        generator = np.random.default_rng(np.random.SeedSequence([seed, 0]))
        self._light = draw_light(generator)
        duration_s = frame_count / frame_rate_hz
        speed = generator.uniform(5.5, 11.0)
        self._street = build_street(seed, speed * duration_s * 1.1 + 40.0 + _VIEW_M)
        self._motion = _motion(generator, speed, (self._street.lane_m - 0.2) * self._street.traffic_side)
        self._traffic = build_traffic(seed, self._street, self._motion, duration_s)
        self._mount = _mount(generator)
        self._noise = sensor_noise(round(generator.uniform(1.0, 1.8) + 1.2 * self._light.lamps, 1))
        self._softness = np.float32(generator.uniform(0.11, 0.24))
        self._scratch = np.zeros((*size_hw, 3), np.uint8)
        self._pool = ThreadPoolExecutor(threads - 1, "synthetic") if threads > 1 else None
        self._bands = _bands(size_hw[0], threads)

    def __len__(self) -> int:
        return self.frame_count

    def camera(self, index: int) -> SyntheticCamera:
        """The camera at a frame."""
        height, width = self.size_hw
        time_s = index / self.frame_rate_hz
        x, y = self._vehicle(time_s)
        step = 1e-3
        x0, y0 = self._vehicle(time_s - step)
        x1, y1 = self._vehicle(time_s + step)
        mount = self._mount
        bounce = mount.bounce[:, 0] * np.sin(mount.bounce[:, 1] * time_s + mount.bounce[:, 2])
        focal = mount.focal_ratio * width
        return SyntheticCamera(
            fx=focal,
            fy=focal,
            cx=width / 2,
            cy=height / 2,
            height_m=mount.height_m + float(bounce[0]),
            pitch_rad=mount.pitch_rad + float(bounce[1] + bounce[2]),
            roll_rad=mount.roll_rad + float(bounce[3]),
            yaw_rad=0.0,
            world_x_m=x,
            world_y_m=y,
            world_heading_rad=math.atan2(y1 - y0, x1 - x0),
            speed_mps=math.hypot(x1 - x0, y1 - y0) / (2 * step),
        )

    def lane_ahead_m(self, index: int, ahead_m: FloatArray) -> FloatArray:
        """Where a vehicle will be that keeps its place on the road from that frame on.

        Args:
            index: Frame.
            ahead_m: (N,) distances along the x axis of the road frame, up to 60 m.

        Returns:
            (N,) y in the road frame.
        """
        at, course = self.camera(index), self._street.course
        offset = at.world_y_m - float(course.center(at.world_x_m))
        offset /= math.sqrt(1.0 + float(course.slope(at.world_x_m)) ** 2)
        x = at.world_x_m + np.linspace(0.0, 70.0, 700)
        road = at.road_from_world(np.stack([x, course.place(x, offset), np.zeros(len(x))], axis=1))
        return np.interp(ahead_m, road[:, 0], road[:, 1])

    def render(self, index: int) -> SyntheticFrame:
        """Render one frame into fresh arrays.

        Raises:
            IndexError: There is no such frame.
        """
        if not 0 <= index < self.frame_count:
            raise IndexError(f"frame {index} of a drive with {self.frame_count} frames")
        time_s = index / self.frame_rate_hz
        camera = self.camera(index)
        view = _view(camera)
        height, width = self.size_hw
        canvas = Canvas(
            self._scratch,
            np.empty((height, width), np.uint8),
            np.zeros((height, width), np.uint16),
            np.empty((height, width), np.float32),
        )
        canvas.depth_m.fill(EMPTY_M)
        x = camera.world_x_m
        who = self._traffic.near(self._motion, time_s, x - 6.0, x + _USERS_M)
        users, velocities = self._traffic.rows(self._street, self._motion, who, time_s)
        self._paint(canvas, view, users)
        image = np.empty((height, width, 3), np.uint8)
        flat = (height, width * 3)
        develop(
            canvas.image.reshape(flat), self._noise, self.seed * 100_003 + index, self._softness, image.reshape(flat)
        )
        road_users = self._truth(canvas, view, camera, who, users, velocities)
        open_sky(canvas.depth_m)
        return SyntheticFrame(
            index, time_s, image, canvas.class_ids, canvas.instance_ids, canvas.depth_m, road_users, camera
        )

    def close(self) -> None:
        """End the drawing threads, if there are any. May be called more than once; no frame is rendered after it."""
        if self._pool is not None:
            self._pool.shutdown()

    def _vehicle(self, time_s: float) -> tuple[float, float]:
        x = float(self._motion.along(time_s))
        return x, float(self._street.course.place(x, self._motion.offset(time_s)))

    def _paint(self, canvas: Canvas, view: View, users: FloatArray) -> None:
        """Draw all bands; a band is a picture of its own whose principal point lies elsewhere."""
        street, reach = self._street, view.x + _VIEW_M
        first, last = np.searchsorted(street.wall_starts, (view.x - _LONGEST_WALL_M, reach))
        start, stop = np.searchsorted(street.objects[:, 1], (view.x - 4.0, reach))
        walls, objects = street.walls[first:last], np.concatenate((street.objects[start:stop], users))
        jobs = [
            (canvas.band(top, bottom), view._replace(cy=view.cy - top), walls, objects) for top, bottom in self._bands
        ]
        others = [self._pool.submit(self._paint_band, *job) for job in jobs[1:]] if self._pool else []
        self._paint_band(*jobs[0])
        for other in others:
            other.result()

    def _paint_band(self, canvas: Canvas, view: View, walls: FloatArray, objects: FloatArray) -> None:
        road, tables, light, patterns = self._street.road, self._street.tables, self._light, textures()
        draw_walls(canvas, view, light, road, tables, patterns, walls)
        draw_ground_and_sky(canvas, view, light, road, tables, patterns)
        draw_objects(canvas, view, light, road, tables, patterns, objects, _VIEW_M)

    def _truth(
        self,
        canvas: Canvas,
        view: View,
        camera: SyntheticCamera,
        who: NDArray[np.intp],
        users: FloatArray,
        velocities: FloatArray,
    ) -> tuple[SyntheticRoadUser, ...]:
        """Measure what is visible of each road user, and tell the rest from how it was placed."""
        if len(users) == 0:
            return ()
        slots, table, feet = (
            np.full(int(who[-1]) + 2, -1, np.int32),
            np.empty((len(who), 5), np.int32),
            np.empty((len(who), 3)),
        )
        slots[who + 1] = np.arange(len(who))
        measure_instances(canvas.instance_ids, slots, table)
        nearest_contacts(view, users, feet)
        seen = np.flatnonzero(table[:, 4])
        users, who, table = users[seen], who[seen], table[seen]
        level = heading_rotation(camera.world_heading_rad)[:2, :2]
        feet_m = camera.road_from_world(feet[seen])
        distances = np.hypot(feet_m[:, 0], feet_m[:, 1])
        columns = zip(
            (who + 1).tolist(),
            users[:, 0].tolist(),
            camera.road_from_world(users[:, 1:4]).tolist(),
            feet_m.tolist(),
            (velocities[seen] @ level.T).tolist(),
            distances.tolist(),
            (users[:, 4] - camera.world_heading_rad).tolist(),
            self._traffic.sizes[who].tolist(),
            table[:, :4].tolist(),
            table[:, 4].tolist(),
            strict=True,
        )
        found = [
            SyntheticRoadUser(
                identity, _NAMES[int(kind)], tuple(place), tuple(foot), tuple(velocity), distance,
                math.remainder(heading, 2.0 * math.pi), tuple(size), tuple(box), count,
            )
            for identity, kind, place, foot, velocity, distance, heading, size, box, count in columns
        ]  # fmt: skip
        return tuple(sorted(found, key=lambda user: user.distance_m))


def _bands(height: int, count: int) -> list[tuple[int, int]]:
    """First row and one past the last of each band: of equal height, but for two cut where the work is halved."""
    cuts = [0.0, 0.47, 1.0] if count == 2 else np.linspace(0.0, 1.0, count + 1).tolist()
    rows = [round(cut * height) for cut in cuts]
    return list(pairwise(rows))


def _view(camera: SyntheticCamera) -> View:
    return View(
        rotation=np.ascontiguousarray(camera.camera_from_world_rotation),
        x=camera.world_x_m,
        y=camera.world_y_m,
        z=camera.height_m,
        fx=camera.fx,
        fy=camera.fy,
        cx=camera.cx,
        cy=camera.cy,
    )


def _motion(generator: np.random.Generator, speed: float, lane_m: float) -> Motion:
    surge = (speed * generator.uniform(0.05, 0.2), generator.uniform(0.25, 0.6), generator.uniform(0, 6.3))
    weave = np.array([[generator.uniform(0.08, 0.25), 0.45, 0.0], [generator.uniform(0.02, 0.08), 1.1, 0.0]])
    weave[:, 2] = generator.uniform(0, 6.3, 2)
    return Motion(speed, surge, weave, lane_m)


def _mount(generator: np.random.Generator) -> _Mount:
    bounce = np.array([[0.008, 6.3, 0.0], [0.0016, 6.3, 0.0], [0.0009, 14.0, 0.0], [0.003, 0.9, 0.0]])
    bounce[:, 2] = generator.uniform(0, 6.3, 4)
    field_rad = math.radians(generator.uniform(52, 74))
    return _Mount(
        focal_ratio=0.5 / math.tan(0.5 * field_rad),
        height_m=generator.uniform(1.2, 1.65),
        pitch_rad=generator.uniform(0.0, 0.07),
        roll_rad=generator.normal(0.0, 0.006),
        bounce=bounce,
    )
