"""Where frames come from."""

from pipeline.sources.base import Source, SourceInfo
from pipeline.sources.factory import open_source

__all__ = ["Source", "SourceInfo", "open_source"]
