"""Networks of one's own: ``FILE.py:CLASS``, trained by the same commands as those that come with Clearway.

The file is run, as Python runs any file that is imported. So only a command names one: what a checkpoint says of where
its network came from is shown, and never followed.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch

from engines.errors import ConfigError
from training.networks.base import SegmentationNetwork

__all__ = ["build_own_network", "find_own_network", "is_own_network"]

_TRIED_HW = (64, 96)


def is_own_network(name: str) -> bool:
    """Whether a name is ``FILE.py:CLASS``."""
    return name.rpartition(":")[0].endswith(".py")


def find_own_network(name: str) -> type[SegmentationNetwork]:
    """The class that ``FILE.py:CLASS`` names.

    Raises:
        ConfigError: There is no such file, it cannot be imported, or holds no such class.
    """
    text, _, class_name = name.rpartition(":")
    file = Path(text)
    if not file.is_file():
        raise ConfigError(f"--network {name}: there is no file {file}")
    found = getattr(_imported(file, name), class_name, None)
    if not isinstance(found, type) or not issubclass(found, SegmentationNetwork):
        raise ConfigError(
            f"--network {name}: {file} has no class {class_name!r} that derives from "
            "training.networks.SegmentationNetwork"
        )
    return found


def _imported(file: Path, name: str) -> object:
    module_name = f"own_network_{file.stem}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and the like look themselves up
    sys.path.insert(0, str(file.parent.resolve()))  # what lies beside it
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever their code raises
        raise ConfigError(f"--network {name}: cannot be imported: {_in_a_line(error)}") from error
    finally:
        sys.path.pop(0)
    return module


def _in_a_line(error: Exception) -> str:
    """Its first line: libraries like to explain themselves in many."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def build_own_network(name: str, class_count: int, *, pretrained: bool) -> SegmentationNetwork:
    """A network of one's own, tried on a picture.

    Raises:
        ConfigError: It cannot be found or built, or does not give logits of `class_count` classes.
    """
    kind = find_own_network(name)
    try:
        network = kind(class_count, pretrained=pretrained)
        with torch.inference_mode():
            network.eval()
            logits = network(torch.zeros(1, 3, *_TRIED_HW))
    except Exception as error:  # whatever their code raises
        raise ConfigError(f"--network {name}: {_in_a_line(error)}") from error
    if not isinstance(logits, torch.Tensor) or logits.ndim != 4 or logits.shape[:2] != (1, class_count):
        what = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ConfigError(
            f"--network {name}: gives {what} for a picture (1, 3, {_TRIED_HW[0]}, {_TRIED_HW[1]}), "
            f"not logits (1, {class_count}, h, w)"
        )
    return network.train()
