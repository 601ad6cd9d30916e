"""`VisibilityJudge`: from the light of a picture and the confidence of its mask to what can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.scene import Scene, Visibility
from pipeline.visibility.lens import LensWatch
from pipeline.visibility.light import Light, measure_light, small_luma
from pipeline.visibility.road_ahead import confidence_ahead

__all__ = ["VisibilityJudge", "VisibilityRules"]

Range = tuple[float, float]

_TOP_ROW = 5
"""Rows of cells above this may be sky, which may be as bright as it likes."""


@dataclass(frozen=True, slots=True)
class VisibilityRules:
    """When something makes it hard to see; ``docs/confidence.md`` says what these figures were chosen by.

    A range is (fine, bad): a cause's severity is 0 at the first, 1 at the second, and goes on beyond. From 1 on the
    mask is not trusted. From one half on the mask must be surer of itself.

    Attributes:
        confidence: The mask is not trusted where it is less sure than this of the road ahead.
        doubted_confidence: The same, where something else already makes it hard to see.
        dark: Mean grey level.
        glare: Share of the lower picture that is as bright as the camera can say.
        streaks: Steps across over steps down where the picture shows least: rain falls down.
        busy: Grey levels from pixel to pixel where the picture shows least: rain falls everywhere.
        sharp: Steps over contrast: a sharp picture has steep edges.
        stuck: Share of the lower picture that is flat and still while the rest goes by.
        flat: Share of the picture that shows nothing at all.
        low_s: How long it must be hard to see before the mask is not trusted any more.
        fine_s: How long it must be fine again before it is trusted again.
        stale_s: A gap of this length makes everything before it void.
    """

    confidence: float = 0.84
    doubted_confidence: float = 0.92
    dark: Range = (42.0, 14.0)
    glare: Range = (0.0, 0.15)
    streaks: Range = (0.9, 1.3)
    busy: Range = (1.0, 3.5)
    sharp: Range = (0.3, 0.205)
    stuck: Range = (0.1, 0.22)
    flat: Range = (0.7, 0.88)
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
        self._lens = LensWatch()

    def judge(self, scene: Scene) -> Visibility:
        """How far the mask of a scene can be trusted.

        Args:
            scene: With all the road that its mask shows. Where it has no signal, nothing is to be trusted.
        """
        if not scene.has_signal:
            self.forget()
            return Visibility(0.0, (), is_low=True)
        step_s = self._step_s(scene.frame.source_time_s)
        light = measure_light(small_luma(scene.frame))
        severities = self._severities(light, self._lens.look(light, scene.frame.source_time_s))
        confidence = confidence_ahead(scene)
        is_doubtful = max(severities.values()) >= 0.5
        least = self._rules.doubted_confidence if is_doubtful else self._rules.confidence
        unsure = confidence < least
        severities["unsure mask"] = (1.0 - confidence) / (1.0 - least) if unsure else 0.0
        # What alone would not be enough is still why a mask is unsure.
        counted = {cause: value for cause, value in severities.items() if value >= (0.5 if unsure else 1.0)}
        self._weigh(bool(counted), step_s)
        return Visibility(confidence, tuple(sorted(counted, key=counted.__getitem__, reverse=True)), self._is_low)

    def _step_s(self, time_s: float) -> float | None:
        """Seconds since the scene before; None for the first, and after a gap, which voids everything before it."""
        before_s = self._time_s
        if before_s is not None and not 0.0 <= time_s - before_s <= self._rules.stale_s:
            self.forget()
            before_s = None
        self._time_s = time_s
        return None if before_s is None else time_s - before_s

    def _severities(self, light: Light, stuck: float) -> dict[str, float]:
        rules = self._rules
        detail = light.detail.ravel()
        least = np.argpartition(detail, detail.size // 4)[: detail.size // 4]
        streaks = float(light.across.ravel()[least].sum() / max(light.down.ravel()[least].sum(), 1e-3))
        busy = float(np.partition(detail, detail.size // 10)[detail.size // 10])
        on_lens = _severity(stuck, rules.stuck)
        is_covered = stuck > 0.5
        return {
            "dark": _severity(float(light.mean.mean()), rules.dark),
            "glare": _severity(float(light.saturated[_TOP_ROW:].mean()), rules.glare),
            "rain": min(_severity(streaks, rules.streaks), _severity(busy, rules.busy)),
            "dirty lens": max(_severity(_sharpness(light), rules.sharp), 0.0 if is_covered else on_lens),
            "covered lens": max(_severity(light.flat_share, rules.flat), on_lens if is_covered else 0.0),
        }

    def _weigh(self, is_hard: bool, step_s: float | None) -> None:
        """Evidence from 0 to 1, by time. The first scene, and the first after a gap, is taken as it is."""
        if step_s is None:
            self._evidence, self._is_low = float(is_hard), is_hard
            return
        gain = step_s / self._rules.low_s if is_hard else -step_s / self._rules.fine_s
        self._evidence = min(max(self._evidence + gain, 0.0), 1.0)
        self._is_low = self._evidence > 0.0 if self._is_low else self._evidence >= 1.0


def _severity(value: float, fine_bad: Range) -> float:
    fine, bad = fine_bad
    return max((value - fine) / (bad - fine), 0.0)


def _sharpness(light: Light) -> float:
    """Steps over contrast, of the cells that have contrast; 1 where too few have."""
    shows = light.contrast > 4.0
    if shows.sum() < 12:
        return 1.0
    ratio = light.detail[shows] / light.contrast[shows]
    return float(np.partition(ratio, ratio.size // 2)[ratio.size // 2])
