"""The inset with the figures: frame rate, latency, who is there, which engine; and the alerts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pipeline.overlay.corridor import clear_words
from pipeline.overlay.lettering import REGULAR, SEMIBOLD, draw_text, text_width
from pipeline.overlay.levels import Plain, draw_levels
from pipeline.overlay.road_users import rounded_rectangle
from pipeline.overlay.style import AMBER, GREY, PANEL, WHITE, Color, Style, ink_on, instance_color
from pipeline.scene import Picture, Scene

__all__ = ["Hud", "PanelPainter", "count_road_users", "draw_alerts"]

_PLURALS = {"person": "persons", "rider": "riders", "car": "cars"}
_PANEL_OPACITY = 0.69
_SHORTEST_CUT = 5
"""Fewer letters than this, and an ellipsis, say nothing."""
_TRADEMARKS = re.compile(r"\((R|TM)\)")


@dataclass(frozen=True, slots=True)
class Hud:
    """Figures of the run that a scene does not hold.

    Attributes:
        fps: Scenes a second at the moment.
        latency_ms: Median milliseconds from a decoded frame to its scene; of a live camera, from capture to result.
        engine: Description of the engine, one line.
        dropped: Frames dropped so far; shown when there are any.
    """

    fps: float
    latency_ms: float
    engine: str = ""
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class _Span:
    """A piece of a line in one size, weight and colour; `gap` is the space before it, in its text sizes."""

    text: str
    size_px: int
    color: Color
    weight: int = REGULAR
    gap: float = 0.0


class PanelPainter:
    """Draws the inset into the upper left corner.

    The panel never becomes narrower, so that it does not tremble with the width of its digits.
    """

    def __init__(self, style: Style) -> None:
        self._style = style
        self._width = 0

    def draw(self, picture: Picture, scene: Scene, hud: Hud | None) -> None:
        """Draw the figures of a run and what the scene holds; the latter alone where `hud` is None."""
        style = self._style
        if not style.with_text:
            return
        lines = self._lines(scene, hud)
        available = picture.shape[1] - 4 * style.margin_px if style.compact else round(0.36 * picture.shape[1])
        lines = [_shortened(line, available) for line in lines]
        heights = [round(1.32 * max(span.size_px for span in line)) for line in lines]
        self._width = max(self._width, *(_line_width(line) for line in lines))
        width = self._width + 2 * style.margin_px
        height = sum(heights) + round(1.2 * style.margin_px)
        left = top = style.margin_px
        plate = rounded_rectangle(height, width, style.margin_px)
        draw_levels(picture, plate, left, top, Plain(PANEL, _PANEL_OPACITY))
        baseline = top + round(0.6 * style.margin_px)
        for line, line_height in zip(lines, heights, strict=True):
            baseline += line_height
            _draw_line(picture, line, left + style.margin_px, baseline - round(0.32 * line_height))

    def _lines(self, scene: Scene, hud: Hud | None) -> list[list[_Span]]:
        style = self._style
        size, headline = style.text_px, style.headline_px
        small = max(8, round(size * 0.86))
        lines = []
        if hud is not None:
            lines.append(
                [
                    _Span(f"{hud.fps:.0f}", headline, WHITE, SEMIBOLD),
                    _Span("fps", size, GREY, gap=0.3),
                    _Span(f"{hud.latency_ms:.1f}", headline, WHITE, SEMIBOLD, gap=0.55),
                    _Span("ms", size, GREY, gap=0.3),
                ]
            )
        lines.append(_count_spans(scene, size))
        if style.compact:
            return lines
        facts = [_Span(_clock(scene.frame.source_time_s), small, GREY)]
        if scene.camera is not None:
            facts.insert(0, _Span(scene.camera.name, small, WHITE, SEMIBOLD))
            facts[1] = replace(facts[1], gap=1.0)
        share = scene.drivable.area_px / max(1, scene.drivable.mask.size)
        facts.append(_Span(f"road {share:.0%}", small, GREY, gap=1.0))
        if scene.road is not None:
            facts.append(_Span(f"clear {clear_words(scene.road)}", small, WHITE, SEMIBOLD, gap=1.0))
        if hud is not None and hud.dropped:
            facts.append(_Span(f"dropped {hud.dropped}", small, AMBER, SEMIBOLD, gap=1.0))
        lines.append(facts)
        if hud is not None and hud.engine:
            lines.append([_Span(_TRADEMARKS.sub("", hud.engine), small, GREY)])
        return lines


def draw_alerts(picture: Picture, scene: Scene, style: Style) -> None:
    """Write the alerts one above the other, the first lowest, in the middle at the bottom."""
    if not style.with_text:
        return
    height, width = picture.shape[:2]
    chip_height = round(style.text_px * 1.7)
    bottom = height - 2 * style.margin_px
    for alert in scene.alerts:
        top = bottom - chip_height
        if top < height // 2:
            return  # The lower half of the picture is all that alerts may cover; what is left is in the scene.
        line = _shortened([_Span(alert.message, style.text_px, ink_on(AMBER), SEMIBOLD)], width - 6 * style.margin_px)
        chip_width = _line_width(line) + 2 * style.margin_px
        left = (width - chip_width) // 2
        plate = rounded_rectangle(chip_height, chip_width, chip_height // 3)
        draw_levels(picture, plate, left, top, Plain(AMBER, 0.92))
        _draw_line(picture, line, left + style.margin_px, top + round(chip_height / 2 + style.text_px * 0.345))
        bottom = top - style.margin_px // 2


def count_road_users(scene: Scene) -> list[tuple[str, int]]:
    """How many of each kind of road user there are, most vulnerable first; kinds that are absent left out."""
    counts = {"person": 0, "rider": 0, "car": 0}
    for user in scene.road_users:
        counts[user.class_name] = counts.get(user.class_name, 0) + 1
    return [(name, count) for name, count in counts.items() if count]


def _count_spans(scene: Scene, size: int) -> list[_Span]:
    spans: list[_Span] = []
    for name, count in count_road_users(scene):
        text = f"{count} {name if count == 1 else _PLURALS.get(name, name)}"
        spans.append(_Span(text, size, instance_color(name, 0), SEMIBOLD, gap=0.8 if spans else 0.0))
    return spans or [_Span("no road users", size, GREY)]


def _clock(time_s: float) -> str:
    minutes, seconds = divmod(max(0.0, time_s), 60)
    return f"{int(minutes)}:{seconds:05.2f}"


def _line_width(line: list[_Span]) -> int:
    return sum(text_width(span.text, span.size_px, span.weight) + round(span.gap * span.size_px) for span in line)


def _shortened(line: list[_Span], available_px: int) -> list[_Span]:
    """The line with its last span cut to what fits, or left out where not even its beginning does."""
    while line and _line_width(line) > available_px:
        *line, last = line
        for length in range(len(last.text) - 1, _SHORTEST_CUT, -1):
            text = last.text[:length].rstrip(" .,;:(") + "..."
            cut = [*line, replace(last, text=text)]
            if _line_width(cut) <= available_px:
                return cut
    return line or [_Span("", 9, GREY)]


def _draw_line(picture: Picture, line: list[_Span], x: int, baseline: int) -> None:
    for span in line:
        x += round(span.gap * span.size_px)
        draw_text(picture, span.text, x, baseline, span.size_px, span.color, span.weight)
        x += text_width(span.text, span.size_px, span.weight)
