"""Every error that Clearway raises on purpose.

    ClearwayError                what, where, what to do: one line, shown to the user without a traceback
    ├── ModelError               an ONNX file or its sidecar cannot be used
    ├── EngineError              an inference library is missing, or failed to open or run a model
    ├── ConfigError              an option or a configuration file cannot be used
    ├── SourceError              a recording cannot be opened, or broke off while it was read
    └── SinkError                an output cannot be created or written

A user's mistake or a broken input is one of these; the command line prints its message and exits with code 2.
Anything else that escapes is a defect of ours and keeps its traceback.
"""

__all__ = ["ClearwayError", "ConfigError", "EngineError", "ModelError", "SinkError", "SourceError"]


class ClearwayError(Exception):
    """Base of all errors raised on purpose. The message says what went wrong, where, and what to do."""


class ModelError(ClearwayError):
    """An ONNX file or its sidecar is missing, damaged, or the two disagree."""


class EngineError(ClearwayError):
    """An inference library is missing, or failed to open or run a model."""


class ConfigError(ClearwayError):
    """An option, an address or a configuration file cannot be used."""


class SourceError(ClearwayError):
    """A source cannot be opened, holds no frames, or broke off while it was read."""


class SinkError(ClearwayError):
    """An output cannot be created, written or finished."""
