"""The command line: finds the command, runs it, turns errors into one line and an exit code.

Exit codes: 0 done; 2 the input, an option or an output was at fault (one line on stderr says what); 3 a live run that
was to end with its signal has lost it; 130 interrupted.
Anything else is a defect of ours and shows its traceback.

Commands live on the floor that they belong to and are imported by name only when they are called: this module
stays at the bottom, and `--help` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType

from pipeline.errors import ClearwayError

__all__ = ["main"]

_COMMANDS = {
    "replay": ("pipeline.replay", "segment a recording and write overlays, scenes or masks"),
    "live": ("pipeline.live.command", "segment live cameras: the newest frame, or an honest no signal"),
    "profile": ("evaluation.profile.command", "how fast the pipeline is, next to its engine alone"),
    "evaluate": ("evaluation.command", "measure a model's accuracy on labelled data"),
    "calibrate": ("calibration.command", "measure a camera, and how it hangs over the road"),
}
"""Name: (module with `add_arguments(parser)` and `run(args) -> int`, one line of help)."""

_SIBLINGS = ("engines", "calibration", "evaluation", "training")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Without the program's name; None takes them from the command line.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _refuse_strangers()
        chosen = arguments[0] if arguments and arguments[0] in _COMMANDS else None
        parsed = _parser(chosen).parse_args(arguments)
        return int(_module(parsed.command).run(parsed))
    except ClearwayError as error:
        sys.stderr.write(f"clearway: error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("clearway: interrupted; what was done so far is in the outputs\n")
        return 130


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clearway",
        description="Real-time segmentation of driving video: what of the road is clear to drive, and who is on it.",
    )
    parser.add_argument("--version", action="version", version=f"clearway {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_, summary) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == chosen:
            _module(name).add_arguments(command)
    return parser


def _module(command: str) -> ModuleType:
    return importlib.import_module(_COMMANDS[command][0])


def _version() -> str:
    try:
        return metadata.version("clearway")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _refuse_strangers() -> None:
    """The packages' names are common words: make sure that ours are the ones Python finds.

    Raises:
        ClearwayError: Another distribution's package stands before ours on the import path.
    """
    home = Path(__file__).resolve().parent.parent
    for name in _SIBLINGS:
        found = importlib.util.find_spec(name)
        places = list(found.submodule_search_locations or []) if found is not None else []
        if not any(Path(place).resolve() == home / name for place in places):
            where = places[0] if places else "nowhere"
            raise ClearwayError(
                f"the package {name!r} was found in {where}, not beside Clearway in {home}. "
                "Install Clearway into an environment of its own."
            )
