"""A file that says what the label values or colours of one's own data mean, and where the data lies."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Literal

import msgspec

from engines.classes import CITYSCAPES, VOID_ID
from evaluation.labels import Label, LabelScheme
from pipeline.errors import ConfigError

__all__ = ["LabelFile", "read_label_file", "read_scheme"]

_COLOR = re.compile(r"#?([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", re.IGNORECASE)
_IGNORE = "ignore"

Meanings = dict[str, str | list[str]]
"""A class, or a list of classes of which the pixel may have any; ``"ignore"`` or an empty list does not count."""


class LabelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file; `read_scheme` shows one.

    Attributes:
        format: How images and labels are laid out, a key of `layouts.LAYOUTS`.
        data: Folder of the data, seen from the file's own.
        split: Only this subfolder of images and labels.
        paste: Classes whose objects training may copy from one picture into another.
        others: Whether values that are not listed are a mistake, or do not count.
        labels: The meaning of label values, 0 to 255.
        colors: The meaning of colours, ``"#rrggbb"``, where label pictures are coloured.
    """

    format: Literal["camvid", "idd", "cityscapes", "folder"] = "folder"
    data: str = "."
    split: str | None = None
    paste: tuple[str, ...] = ()
    others: Literal["refuse", "ignore"] = "refuse"
    labels: Meanings = {}
    colors: Meanings = {}

    @property
    def explains_labels(self) -> bool:
        """Whether it says what labels mean; else they mean what is usual for the layout."""
        return bool(self.labels or self.colors)


def read_label_file(file: Path) -> LabelFile:
    """Read such a file, without looking at the data.

    Raises:
        ConfigError: It cannot be read, or has keys that nobody knows.
    """
    try:
        content = msgspec.toml.decode(file.read_bytes(), type=LabelFile)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not a file of label values ({error})") from error
    for name in content.paste:
        _refuse_unknown(file, "paste", name)
    return content


def read_scheme(file: Path) -> LabelScheme:
    """Read the meaning of label values, or of colours, from a TOML file::

        [labels]
        0 = "road"
        1 = ["sidewalk", "terrain"]   # either of them
        255 = "ignore"

    or, where label pictures are coloured::

        others = "ignore"             # any other colour; else that is a mistake

        [colors]
        "#804080" = "road"

    Raises:
        ConfigError: It cannot be read, is no such file, or names a class that nobody knows.
    """
    content = read_label_file(file)
    given = content.labels or content.colors
    if content.labels and content.colors:
        raise ConfigError(f"{file}: label pictures have values or colours; give [labels] or [colors], not both")
    if not any(_classes(entry) for entry in given.values()):
        raise ConfigError(f'{file}: [labels] gives no value a class; write for instance 0 = "road"')
    for key, entry in given.items():
        for name in _classes(entry):
            _refuse_unknown(file, f"label {key}", name)
    values = _color_values(file, content.colors) if content.colors else _label_values(file, content.labels)
    labels = [Label(values[key], "/".join(_classes(entry)) or "void", _classes(entry)) for key, entry in given.items()]
    return LabelScheme(
        str(file),
        tuple(sorted(labels, key=lambda label: label.value)),
        {_rgb(file, key): value for key, value in values.items()} if content.colors else {},
        others_are_void=content.others == _IGNORE,
    )


def _classes(entry: str | list[str]) -> tuple[str, ...]:
    if isinstance(entry, str):
        return () if entry == _IGNORE else (entry,)
    return tuple(entry)


def _label_values(file: Path, labels: Meanings) -> dict[str, int]:
    values: dict[str, int] = {}
    for key in labels:
        if not (key.isascii() and key.isdecimal() and int(key) < 256) or int(key) in values.values():
            raise ConfigError(f"{file}: {key!r} in [labels] must be a label value from 0 to 255, once each")
        values[key] = int(key)
    return values


def _color_values(file: Path, colors: Meanings) -> dict[str, int]:
    """A value of its own for each colour, in the file's order."""
    rgbs = [_rgb(file, key) for key in colors]
    if len(set(rgbs)) < len(rgbs) or len(rgbs) > VOID_ID:
        raise ConfigError(f"{file}: [colors] must name each colour once, and {VOID_ID} at most")
    return {key: value for value, key in enumerate(colors)}


def _rgb(file: Path, key: str) -> tuple[int, int, int]:
    match = _COLOR.fullmatch(key)
    if match is None:
        raise ConfigError(f'{file}: {key!r} in [colors] must be a colour such as "#804080" (red, green, blue)')
    return int(match[1], 16), int(match[2], 16), int(match[3], 16)


def _refuse_unknown(file: Path, where: str, name: str) -> None:
    known = [entry.name for entry in CITYSCAPES]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
        raise ConfigError(f"{file}: {where} names the class {name!r}, which Cityscapes lacks; {hint}")
