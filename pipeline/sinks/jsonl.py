"""Scenes as JSON lines: one complete JSON object a line, for programs in any language.

The schema is versioned and lies beside its explanation: ``docs/scene-schema.json`` and ``docs/scene-schema.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import SinkError
from pipeline.scene import BgrImage, Scene
from pipeline.sinks.output_file import OutputFile, explain
from pipeline.sinks.records import SCENE_SCHEMA, SceneRecord
from pipeline.sinks.transcript import scene_record

__all__ = ["SCENE_SCHEMA", "JsonlSink", "SceneRecord", "scene_record", "scene_schema"]


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
