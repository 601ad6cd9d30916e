"""Figures of a run as a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import SinkError

__all__ = ["refuse_unwritable", "write_figures"]


def refuse_unwritable(file: Path) -> None:
    """See that figures can be written, before a run that would be in vain.

    Raises:
        SinkError: They cannot.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("a").close()
    except OSError as error:
        raise SinkError(f"{file}: cannot be written ({error.strerror})") from error


def write_figures(file: Path, figures: Mapping[str, Any]) -> None:
    """Write figures, indented for people.

    Raises:
        SinkError: The disk is full or failed.
    """
    try:
        file.write_text(json.dumps(figures, indent=2) + "\n")
    except OSError as error:
        raise SinkError(f"{file}: cannot be written ({error.strerror})") from error
