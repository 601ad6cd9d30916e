"""``recording.json``: what a camera's folder is, for people and for `replay`."""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec

from pipeline.cameras.address import Flip
from pipeline.geometry.calibration_files import Calibration
from pipeline.recording.layout import MANIFEST_NAME, sync_folder

__all__ = ["RECORDING_SCHEMA", "RecordingManifest", "read_manifest", "write_manifest"]

RECORDING_SCHEMA = "clearway-recording/1"
"""Name and major version of the format."""


class RecordingManifest(msgspec.Struct, frozen=True, omit_defaults=False, tag_field="schema", tag=RECORDING_SCHEMA):
    """One camera in one run. The segments are not listed: the folder is their list, and their names are their times."""

    camera: Annotated[str, msgspec.Meta(description="Name of the camera, as in scenes.")]
    started_at: Annotated[datetime, msgspec.Meta(tz=True, description="UTC time at which the times in here are 0.")]
    ended_at: Annotated[
        datetime | None, msgspec.Meta(description="UTC; null while it is recorded, and for ever when it was cut off.")
    ] = None
    flip: Annotated[
        Flip, msgspec.Meta(description="How the pictures must be turned to be what scenes speak of; players do not.")
    ] = "none"
    calibration: Annotated[
        Calibration | None,
        msgspec.Meta(
            description="How the camera hung over the road, as the run was told: replays are in metres by it."
        ),
    ] = None
    pictures: Annotated[int, msgspec.Meta(ge=0, description="Pictures recorded, those deleted since included.")] = 0
    dropped: Annotated[int, msgspec.Meta(ge=0, description="Pictures left out, because the disk was too slow.")] = 0
    failure: Annotated[str, msgspec.Meta(description="Why recording ended before the run did, or nothing.")] = ""
    saved_for: Annotated[list[str], msgspec.Meta(description="What it was saved for; empty in the ring.")] = (
        msgspec.field(default_factory=list)
    )


def read_manifest(folder: Path) -> RecordingManifest | None:
    """The manifest of a camera's folder; None where there is none, or none that can be read."""
    try:
        return msgspec.json.decode((folder / MANIFEST_NAME).read_bytes(), type=RecordingManifest)
    except (OSError, msgspec.MsgspecError):
        return None


def write_manifest(folder: Path, manifest: RecordingManifest) -> None:
    """Write it, so that at any moment either the old one or the new one is there, whole.

    Raises:
        OSError: The disk is full or failed; the old one stays.
    """
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    draft = folder / f".{MANIFEST_NAME}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / MANIFEST_NAME)
        sync_folder(folder)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
