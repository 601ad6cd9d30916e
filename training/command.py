"""The command `train`, which needs what only training installs."""

from __future__ import annotations

import argparse
import importlib
from types import ModuleType

from engines.errors import ClearwayError, ConfigError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `train` understands.

    Raises:
        ConfigError: Training is not installed.
    """
    _training().add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train, or go on training.

    Raises:
        ClearwayError: The data, an option or the run's folder is at fault.
    """
    try:
        return int(_training().run(args))
    except ModuleNotFoundError as error:
        raise _missing(error) from error


def _training() -> ModuleType:
    try:
        return importlib.import_module("training.train")
    except ModuleNotFoundError as error:
        raise _missing(error) from error


def _missing(error: ModuleNotFoundError) -> ClearwayError:
    return ConfigError(f"training needs {error.name}, which is not installed: pip install 'clearway[train]'")
