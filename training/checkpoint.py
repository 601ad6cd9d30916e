"""What a training run keeps on disk, written so that a kill at any moment leaves a whole file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from engines.errors import ClearwayError

__all__ = ["CheckpointError", "load_checkpoint", "save_checkpoint"]

_FORMAT = "clearway-checkpoint/1"


class CheckpointError(ClearwayError):
    """A checkpoint that is missing, damaged or of another program."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values to ``path``: to a file beside it first, which then takes its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")
    with beside.open("wb") as file:
        torch.save({"format": _FORMAT, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote, on the CPU. Only tensors and plain values are read: nothing in the file is run.

    Raises:
        CheckpointError: No such file, or not one of ours.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; `python -m training.train` writes one") from None
    except Exception as error:  # torch raises whatever its reader stumbles over
        raise CheckpointError(f"{path}: not a readable checkpoint ({type(error).__name__}); train again") from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of Clearway ({_FORMAT})")
    return state
