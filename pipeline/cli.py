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
    "build": ("pipeline.build", "build TensorRT engines for the GPU of this machine"),
    "engines": ("pipeline.cached_engines", "list the engines that were built, or remove them"),
    "train": ("training.command", "train a segmentation network on labelled data"),
    "instances": ("pipeline.instances.command", "list, rename or forget road users that are recognised"),
    "calibrate": ("calibration.command", "measure a camera, how it hangs over the road, how sure a model is"),
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
        command, parsed = _parse(arguments)
        return int(_module(command).run(parsed))
    except ClearwayError as error:
        sys.stderr.write(f"clearway: error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("clearway: interrupted; what was done so far is in the outputs\n")
        return 130


def _parse(arguments: list[str]) -> tuple[str, argparse.Namespace]:
    """The command and what it was given.

    A command is parsed by a parser of its own: only so can inputs and outputs stand before and after flags.
    """
    overview = _overview()
    if not arguments or arguments[0] not in _COMMANDS:
        overview.parse_args(arguments)  # Shows the help or the version, or complains; either way it ends the program.
        overview.error("name a command")
    name = arguments[0]
    summary = _COMMANDS[name][1]
    parser = argparse.ArgumentParser(prog=f"clearway {name}", description=summary[0].upper() + summary[1:] + ".")
    _module(name).add_arguments(parser)
    try:
        return name, parser.parse_intermixed_args(arguments[1:])
    except TypeError:  # It refuses parsers that have commands of their own.
        return name, parser.parse_args(arguments[1:])


def _overview() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clearway",
        description="Real-time segmentation of driving video: what of the road is clear to drive, and who is on it.",
    )
    parser.add_argument("--version", action="version", version=f"clearway {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_, summary) in _COMMANDS.items():
        commands.add_parser(name, help=summary)
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
