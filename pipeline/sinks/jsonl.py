"""Scenes as JSON lines: one complete JSON object a line, for programs in any language.

The schema is versioned and lies beside its explanation: ``docs/scene-schema.json`` and ``docs/scene-schema.md``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import msgspec

from pipeline.errors import SinkError
from pipeline.scene import BgrImage, CameraState, CameraView, Scene
from pipeline.sinks.output_file import OutputFile, explain

__all__ = [
    "SCENE_SCHEMA",
    "AlertRecord",
    "CameraRecord",
    "DrivableRecord",
    "JsonlSink",
    "RoadUserRecord",
    "SceneRecord",
    "scene_record",
    "scene_schema",
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


class RoadUserRecord(msgspec.Struct, frozen=True):
    """One person, rider or car."""

    id: Annotated[int, msgspec.Meta(ge=1, description="Distinguishes the road users of one scene, from 1.")]
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


class AlertRecord(msgspec.Struct, frozen=True):
    """Something the driver or another program should know now."""

    kind: Annotated[str, msgspec.Meta(description="What kind of alert, for programs.")]
    message: Annotated[str, msgspec.Meta(description="The evidence in words, for people.")]


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
        road_users=[
            RoadUserRecord(
                id=int(user.id),
                class_name=user.class_name,
                box_xyxy=tuple(int(edge) for edge in user.box_xyxy),  # type: ignore[arg-type]
                foot_px=(round(float(user.foot_px[0]), 2), round(float(user.foot_px[1]), 2)),
                area_px=int(user.area_px),
                confidence=round(float(user.confidence), 4),
            )
            for user in scene.road_users
        ],
        alerts=[AlertRecord(alert.kind, alert.message) for alert in scene.alerts],
        camera=None if scene.camera is None else _camera_record(scene.camera),
    )


def _camera_record(camera: CameraView) -> CameraRecord:
    return CameraRecord(
        name=camera.name,
        state=camera.state,
        age_ms=None if math.isnan(camera.age_ms) else round(camera.age_ms, 3),
        captured_unix_s=round(camera.captured_unix_s, 6),
        reason=camera.reason,
    )


def scene_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a line, generated from the very types that are written."""
    schema = msgspec.json.schema(SceneRecord)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCENE_SCHEMA} | schema


class JsonlSink:
    """Writes one scene a line. Every line is in the kernel's hands when `write` returns, and no line is ever torn
    by a full disk: what did not fit is cut off again.
    """

    needs_overlay = False
    on_main_thread = False

    def __init__(self, path: Path, *, name: str | None = None) -> None:
        """Create the file, or open an older one that the first scene will replace.

        Args:
            path: The file; missing parent folders are created.
            name: What the user called it; the path if None.

        Raises:
            SinkError: The file cannot be created or written.
        """
        self.name = name if name is not None else str(path)
        self._file = OutputFile(path, self.name)
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()

    def write(self, scene: Scene, picture: BgrImage | None) -> None:  # noqa: ARG002
        """Append one line.

        Raises:
            SinkError: The disk is full or failed. Every line before this one is complete.
        """
        if self._file.closed or self._file.failure is not None:
            raise SinkError(f"cannot write {self.name}: it was closed, or failed before")
        self._encoder.encode_into(scene_record(scene), self._buffer)
        self._buffer += b"\n"
        self._file.write(self._buffer)
        self._file.commit()
        if self._file.failure is not None:
            raise explain(f"cannot write {self.name}", self._file.failure) from self._file.failure

    def close(self) -> None:
        """Close the file. May be called more than once."""
        self._file.close()


if __name__ == "__main__":
    import sys

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(scene_schema()), indent=2).decode() + "\n")
