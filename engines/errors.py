"""Every error that Clearway raises on purpose.

    ClearwayError                what, where, what to do: one line, shown to the user without a traceback
    ├── ModelError               an ONNX file or its sidecar cannot be used
    ├── EngineError              an inference library is missing, or failed to open or run a model
    │   └── NoGpuError           the machine has no NVIDIA GPU, so that nobody expects its engines to run
    ├── ConfigError              an option or a configuration file cannot be used
    ├── SourceError              a recording cannot be opened, or broke off while it was read
    ├── SinkError                an output cannot be created or written
    └── LossError                a live run that was to end with its signal has lost it

A user's mistake or a broken input is one of these; the command line prints its message and exits with its code: 2, or 3
for a `LossError`, which a supervisor answers by starting again.
Anything else that escapes is a defect of ours and keeps its traceback.
"""

from typing import ClassVar

__all__ = [
    "ClearwayError",
    "ConfigError",
    "EngineError",
    "LossError",
    "ModelError",
    "NoGpuError",
    "SinkError",
    "SourceError",
]


class ClearwayError(Exception):
    """Base of all errors raised on purpose. The message says what went wrong, where, and what to do.

    Attributes:
        exit_code: What the program ends with when nobody catches it.
    """

    exit_code: ClassVar[int] = 2


class ModelError(ClearwayError):
    """An ONNX file or its sidecar is missing, damaged, or the two disagree."""


class EngineError(ClearwayError):
    """An inference library is missing, or failed to open or run a model."""


class NoGpuError(EngineError):
    """The machine has no NVIDIA GPU at all: an engine for one need not be spoken of, unless it was asked for."""


class ConfigError(ClearwayError):
    """An option, an address or a configuration file cannot be used."""


class SourceError(ClearwayError):
    """A source cannot be opened, holds no frames, or broke off while it was read."""


class SinkError(ClearwayError):
    """An output cannot be created, written or finished."""


class LossError(ClearwayError):
    """A live run that was asked to end when a signal or the engine is lost (``--exit-on-loss``) has lost it."""

    exit_code: ClassVar[int] = 3
