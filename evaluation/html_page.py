"""One HTML file that holds everything, for a browser without a network: how `evaluate` and `profile` report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, SinkError

__all__ = ["PAGE_NAME", "axis_end", "refuse_unwritable_page", "write_html_page"]

PAGE_NAME = "index.html"


def refuse_unwritable_page(folder: Path) -> None:
    """Find out before the long part whether a page can be written.

    Raises:
        ConfigError: The template library is not installed.
        SinkError: The folder cannot be created or written.
    """
    try:
        import jinja2  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError("a report needs Jinja2: pip install 'clearway[report]'") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{PAGE_NAME}.partial"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SinkError(f"{folder}: cannot be written ({error.strerror})") from error


def write_html_page(folder: Path, template: Path, **values: Any) -> Path:
    """Fill a Jinja template and write the page whole or not at all.

    Args:
        folder: It is there; see `refuse_unwritable_page`.
        template: The template's file; a name in it without a value is an error of ours.
        values: What the template shows.

    Returns:
        The page.

    Raises:
        SinkError: It cannot be written.
    """
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = templates.get_template(template.name).render(**values)
    target, partial = folder / PAGE_NAME, folder / f".{PAGE_NAME}.partial"
    try:
        partial.write_text(page, encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        raise SinkError(f"{target}: cannot be written ({error.strerror})") from error
    return target


def axis_end(largest: float) -> float:
    """A round end for an axis: 1, 1.5, 2, 3, 5 or 7 times a power of ten, not under the largest value."""
    if largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return float(next(step * power for step in (1, 1.5, 2, 3, 5, 7, 10) if step * power >= largest))
