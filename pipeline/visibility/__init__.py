"""How far the mask can be trusted, and what makes it hard to see: darkness, glare, rain, the lens."""

from __future__ import annotations

from pipeline.visibility.judge import VisibilityJudge, VisibilityRules

__all__ = ["VisibilityJudge", "VisibilityRules"]
