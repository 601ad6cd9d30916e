"""Which TensorRT is installed, and what differs between its releases.

| flavour | where | precision |
|---|---|---|
| TensorRT 8.6 | Jetson with JetPack 5 | flags of the builder |
| TensorRT 10 | Jetson with JetPack 6 and 7, desktop | types in the graph (strongly typed network) |
| TensorRT 11 | desktop | types in the graph; nothing else is left |
| TensorRT-RTX 1 | GeForce RTX; builds without a GPU | types in the graph |
"""

from __future__ import annotations

import importlib.util
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from engines.checked import import_library
from engines.errors import EngineError

if TYPE_CHECKING:
    import tensorrt as trt

__all__ = ["Library", "load_library"]

Flavour = Literal["tensorrt", "tensorrt_rtx"]

_TITLES: dict[Flavour, str] = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
_PACKAGES: dict[Flavour, str] = {"tensorrt": "'clearway[nvidia]'", "tensorrt_rtx": "tensorrt-rtx-cu13"}
_KEPT = 4


@dataclass(frozen=True)
class Library:
    """A TensorRT that was imported.

    Attributes:
        flavour: Which of the two libraries.
        version: Its version, for instance ``"10.3.0"``.
        module: The imported module.
        log: What it said last that was wrong.
    """

    flavour: Flavour
    version: str
    module: Any = field(repr=False)
    log: deque[str] = field(repr=False, default_factory=lambda: deque(maxlen=_KEPT))

    @property
    def title(self) -> str:
        """For people, for instance ``"TensorRT 10.3.0"``."""
        return f"{_TITLES[self.flavour]} {self.version}"

    @property
    def strongly_typed(self) -> bool:
        """Whether the graph decides the precision (TensorRT 10, 11 and RTX), or the builder's flags (before)."""
        return self.flavour == "tensorrt_rtx" or int(self.version.partition(".")[0]) >= 10

    def logger(self) -> trt.ILogger:
        """A logger that prints nothing and keeps in `log` what went wrong, for an error of ours to tell."""
        module, kept = self.module, self.log

        class QuietLogger(module.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                module.ILogger.__init__(self)

            def log(self, severity: trt.ILogger.Severity, message: str) -> None:
                if severity in {module.ILogger.Severity.INTERNAL_ERROR, module.ILogger.Severity.ERROR}:
                    kept.append(" ".join(message.split()))

        logger: trt.ILogger = QuietLogger()
        return logger

    def complaint(self) -> str:
        """What went wrong, as half a sentence, from what the library logged; forgets it."""
        said = list(dict.fromkeys(self.log))
        self.log.clear()
        text = said[0] if said else "it does not say why"
        return text if len(text) <= 240 else f"{text[:239]}…"


def load_library() -> Library:
    """Import TensorRT; where that is not installed or cannot be loaded, TensorRT-RTX.

    Raises:
        EngineError: Neither can be imported; says why.
    """
    flavours: tuple[Flavour, ...] = ("tensorrt", "tensorrt_rtx")
    installed = [flavour for flavour in flavours if importlib.util.find_spec(flavour) is not None]
    if not installed:
        raise EngineError(
            "TensorRT is not installed: pip install 'clearway[nvidia]' (on a Jetson it comes with JetPack)"
        )
    refusals = []
    for flavour in installed:
        try:
            return _load(flavour)
        except EngineError as error:  # noqa: PERF203 (two rounds at most)
            refusals.append(str(error))
    raise EngineError("; ".join(refusals))


def _load(flavour: Flavour) -> Library:
    module = import_library(flavour, _TITLES[flavour], _PACKAGES[flavour])
    version = str(getattr(module, "__version__", ""))
    if not version or not hasattr(module, "Builder"):
        # The metapackage without its libraries imports, and has nothing in it.
        raise EngineError(f"{_TITLES[flavour]} is not complete: pip install --upgrade {_PACKAGES[flavour]}")
    library = Library(flavour, version, module)
    if flavour == "tensorrt" and tuple(int(part) for part in version.split(".")[:2]) < (8, 5):
        raise EngineError(f"{library.title} is too old: Clearway needs 8.5 or newer")
    return library
