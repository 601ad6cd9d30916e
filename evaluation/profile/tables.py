"""A profile, and a comparison of two, on the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from evaluation.profile.comparison import Comparison, Ratio
from evaluation.profile.figures import ProfileFigures
from pipeline.console import Console

__all__ = ["comparison_table", "figures_table", "throttling_text"]

_LOUD_CORES = 0.1
"""Other programs that take more than this disturb the wall clock."""


def figures_table(console: Console, figures: ProfileFigures) -> None:
    """Show stages, then what the pipeline makes of its engine."""
    table = Table(caption="milliseconds a frame; CPU: of the stage's own thread", caption_justify="left")
    table.add_column("stage")
    for title in ("p50", "p95", "p99", "max", "CPU", "floor"):
        table.add_column(title, justify="right")
    for stage, row in figures.timings_ms.items():
        _add(table, stage, row, figures.cpu_ms.get(stage), figures.floors_ms.get(stage))
    table.add_section()
    for stage, row in figures.device_ms.items():
        _add(table, f"GPU: {stage}", row, None, None, digits=3)
    table.add_section()
    _add(table, "frame", figures.frame_ms, figures.cpu_ms["total"], figures.floors_ms["shared"])
    _add(table, "age", figures.age_ms, None, None)
    console.out.print(table)
    console.out.print(_summary(figures))
    for line in _remarks(figures):
        console.note(line)


def throttling_text(figures: ProfileFigures) -> str:
    """Whether the machine slowed itself down, in words."""
    if figures.throttled is None:
        return "unknown: this machine tells nothing"
    if figures.throttled:
        return f"yes: {', '.join(figures.throttling_reasons)}"
    return f"no, say {figures.throttling_sources} sources"


def comparison_table(console: Console, comparison: Comparison) -> None:
    """Show every ratio, and the answer."""
    table = Table(caption="B / A; above 1, B takes longer", caption_justify="left")
    for title, justify in (("", "left"), ("ratio", "right"), ("95 % interval", "right")):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    for title, ratio in (
        ("frame", comparison.frame),
        ("bare engine", comparison.engine),
        ("frame / bare engine", comparison.frame_over_engine),
        ("CPU time a frame", comparison.cpu),
    ):
        table.add_row(title, f"{ratio.estimate:.3f}", _interval(ratio))
    table.add_section()
    for stage, value in comparison.stages.items():
        table.add_row(f"{stage}, median", f"{value:.3f}", "")
    console.out.print(table)
    for difference in comparison.differences:
        console.note(f"not the same: {difference}")
    if max(comparison.other_load) > _LOUD_CORES:
        loads = " and ".join(f"{load:.1f}" for load in comparison.other_load)
        console.note(f"other programs took {loads} cores meanwhile: the CPU time is to be trusted, the verdict is not")
    console.out.print(Text(comparison.verdict, style="bold red" if comparison.slower else "bold green"))


def _add(
    table: Table, name: str, row: dict[str, float], cpu_ms: float | None, floor_ms: float | None, digits: int = 2
) -> None:
    more = ("" if value is None else f"{value:.2f}" for value in (cpu_ms, floor_ms))
    table.add_row(name, *(f"{row[column]:.{digits}f}" for column in ("p50", "p95", "p99", "max")), *more)


def _summary(figures: ProfileFigures) -> Text:
    return Text.assemble(
        (f"{figures.fps:.1f} FPS", "bold green"),
        f" of {figures.bare_engine_fps:.1f} that the engine alone does: efficiency ",
        (f"{figures.efficiency:.2f}", "bold"),
        f" ({figures.efficiency_range[0]:.2f} to {figures.efficiency_range[1]:.2f}), ",
        (f"{figures.efficiency_against_floors:.2f}", "bold"),
        f" against decoder and engine on {figures.machine.cores} shared cores; ",
        (f"{figures.cpu_efficiency:.0%}", "bold"),
        " of its CPU time is theirs",
    )


def _remarks(figures: ProfileFigures) -> list[str]:
    lines = [f"{figures.settings.engine}; {figures.machine.processor}"]
    if figures.device_clock:
        lines.append(f"GPU: {figures.device_clock}")
    if figures.offered_fps is not None:
        lost = ", ".join(f"{count} {cause}" for cause, count in figures.dropped.items() if count) or "none"
        lines.append(f"the cameras give {figures.offered_fps:g} frames a second; dropped: {lost}")
    lines.append(
        f"memory {figures.memory_mb:.0f} MB; throttled: {throttling_text(figures)}; "
        f"timers: {figures.timers_share:.3%} of a frame"
    )
    if figures.other_load > _LOUD_CORES:
        lines.append(f"other programs took {figures.other_load:.1f} cores meanwhile: trust the ratios, not the times")
    return lines


def _interval(ratio: Ratio) -> str:
    return "–" if ratio.low is None or ratio.high is None else f"{ratio.low:.3f} to {ratio.high:.3f}"
