"""The errors of the pipeline; the tree is drawn in `engines.errors`, where the floors below can reach it."""

from engines.errors import ClearwayError, ConfigError, EngineError, LossError, ModelError, SinkError, SourceError

__all__ = ["ClearwayError", "ConfigError", "EngineError", "LossError", "ModelError", "SinkError", "SourceError"]
