"""`VisibilityJudge`: from the light of a picture and the confidence of its mask to what can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.scene import Scene, Visibility
from pipeline.visibility.light import Light, measure_light, small_luma
from pipeline.visibility.road_ahead import confidence_ahead

__all__ = ["VisibilityJudge", "VisibilityRules"]


@dataclass(frozen=True, slots=True)
class VisibilityRules:
    """When something makes it hard to see. Severities are 0 where it does not at all and 1 where it counts.

    Attributes:
        least_confidence: The mask is not trusted where it is less sure than this of the road ahead.
        dark_mean: A picture darker than this on average is dark.
        flat_detail: Cells with less detail than this show nothing.
        glare_share: Share of the picture that is saturated.
        low_s: How long it must be hard to see before the mask is not trusted any more.
        fine_s: How long it must be fine again before it is trusted again.
        stale_s: A gap of this length makes everything before it void.
    """

    least_confidence: float = 0.75
    dark_mean: float = 35.0
    flat_detail: float = 1.0
    glare_share: float = 0.25
    low_s: float = 0.2
    fine_s: float = 1.0
    stale_s: float = 2.0


class VisibilityJudge:
    """Judges the scenes of one camera, in their order. Called by one thread.

    Args:
        rules: When it is hard to see; None for the usual rules.
    """

    def __init__(self, rules: VisibilityRules | None = None) -> None:
        self._rules = rules or VisibilityRules()
        self.forget()

    def forget(self) -> None:
        """The next scene does not follow those before it."""
        self._time_s: float | None = None
        self._is_low = False
        self._evidence = 0.0

    def judge(self, scene: Scene) -> Visibility:
        """How far the mask of a scene can be trusted.

        Args:
            scene: With a picture; of one without a signal nothing is to be trusted.
        """
        if not scene.has_signal:
            self.forget()
            return Visibility(0.0, (), is_low=True)
        confidence = confidence_ahead(scene)
        severities = self._severities(measure_light(small_luma(scene.frame)), confidence)
        causes = sorted((cause for cause, value in severities.items() if value >= 1.0), key=lambda c: -severities[c])
        self._weigh(bool(causes), scene.frame.source_time_s)
        return Visibility(confidence, tuple(causes), self._is_low)

    def _severities(self, light: Light, confidence: float) -> dict[str, float]:
        rules = self._rules
        flat = float((light.detail < rules.flat_detail).mean())
        return {
            "dark": rules.dark_mean / max(float(light.mean.mean()), 1e-3),
            "glare": float(light.saturated.mean()) / rules.glare_share,
            "covered lens": flat / 0.9,
            "unsure mask": (1.0 - confidence) / (1.0 - rules.least_confidence),
        }

    def _weigh(self, is_hard: bool, time_s: float) -> None:
        """Evidence from 0 to 1, by time. The first scene, and the first after a gap, is taken as it is."""
        rules, before_s = self._rules, self._time_s
        self._time_s = time_s
        if before_s is None or not 0.0 <= time_s - before_s <= rules.stale_s:
            self._evidence, self._is_low = float(is_hard), is_hard
            return
        step_s = time_s - before_s
        self._evidence = float(
            np.clip(self._evidence + (step_s / rules.low_s if is_hard else -step_s / rules.fine_s), 0, 1)
        )
        self._is_low = self._evidence > 0.0 if self._is_low else self._evidence >= 1.0
