"""What the first run on a machine compiles, and what that costs: python benchmarks/first_run.py [PART ...] [--wall]

Parts are those of `pipeline.rehearsal`, all of them by default. They are compiled in this process, with an empty cache,
and every kernel is listed with its signature and processor time, its own (what it calls left out) and with what it
calls; then by kernel, by file, and by pass of the compiler. It is the compiling thread's own processor time, which
other programs disturb less than the clock.

`--wall` lists nothing and prepares as `replay` does, in several processes at once: wall clock, and processor time of
all of them. That figure wants a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numba.core import event


@dataclass(frozen=True, slots=True)
class Compiled:
    """One kernel for one signature, or one pass of the compiler: seconds of processor time."""

    name: str
    detail: str
    own_s: float
    all_s: float


class Compilations(event.Listener):  # type: ignore[misc]
    """Takes down what is compiled, in whichever thread."""

    def __init__(self, describe: Any) -> None:
        self.done: list[Compiled] = []
        self._describe = describe
        self._local = threading.local()

    def on_start(self, _: event.Event) -> None:
        """Something begins, perhaps within something else."""
        self._open().append([time.thread_time(), 0.0])

    def on_end(self, event: event.Event) -> None:
        """It has ended: its time is not the own time of what it was within."""
        open_ones = self._open()
        began_s, inner_s = open_ones.pop()
        all_s = time.thread_time() - began_s
        if open_ones:
            open_ones[-1][1] += all_s
        self.done.append(Compiled(*self._describe(event.data), own_s=all_s - inner_s, all_s=all_s))

    def _open(self) -> list[list[float]]:
        if not hasattr(self._local, "open_ones"):
            self._local.open_ones = []
        open_ones: list[list[float]] = self._local.open_ones
        return open_ones


def describe_kernel(data: dict[str, Any]) -> tuple[str, str]:
    """Module, name; types of the arguments."""
    function = data["dispatcher"].py_func
    return f"{function.__module__}.{function.__name__}", ", ".join(map(str, data["args"]))


def describe_pass(data: dict[str, Any]) -> tuple[str, str]:
    """Pass of the compiler; what it worked on."""
    return data["name"], data["qualname"]


def print_sums(title: str, done: list[Compiled], rows: int) -> None:
    """The own time of all of one name together, the longest first."""
    sums: dict[str, list[float]] = defaultdict(list)
    for one in done:
        sums[one.name].append(one.own_s)
    print(f"\n{title}: times, seconds in all")
    for name, own_s in sorted(sums.items(), key=lambda item: -sum(item[1]))[:rows]:
        print(f"{len(own_s):6} {sum(own_s):8.2f}  {name}")


def compile_here(parts: list[str], args: argparse.Namespace) -> None:
    """Compile one part after the other in this process; print what that was."""
    from pipeline.rehearsal import PARTS

    kernels, passes = Compilations(describe_kernel), Compilations(describe_pass)
    with event.install_listener("numba:compile", kernels), event.install_listener("numba:run_pass", passes):
        for part in parts:
            began_s, before = time.process_time(), len(kernels.done)
            PARTS[part]()
            spent_s = time.process_time() - began_s
            print(f"{part}: {len(kernels.done) - before} signatures, {spent_s:.1f} s of processor time")
    names = {one.name for one in kernels.done}
    total_s = sum(one.own_s for one in kernels.done)
    print(f"all: {len(kernels.done)} signatures of {len(names)} kernels, numba's own too: {total_s:.1f} s compiling")
    print("\n   own s    all s  kernel(types)")
    for one in sorted(kernels.done, key=lambda one: -one.own_s)[: args.rows]:
        print(f"{one.own_s:8.2f} {one.all_s:8.2f}  {one.name}({one.detail})")
    print_sums("kernels", kernels.done, args.rows)
    print_sums("files", [Compiled(o.name.rpartition(".")[0], "", o.own_s, o.all_s) for o in kernels.done], args.rows)
    print_sums("passes of the compiler", passes.done, args.rows)
    if args.json:
        fields = [{"kernel": o.name, "types": o.detail, "own_s": o.own_s, "all_s": o.all_s} for o in kernels.done]
        args.json.write_text(json.dumps(fields, indent=1) + "\n")


def compile_aside(parts: list[str]) -> None:
    """Compile as `replay` does; print how long that takes."""
    from pipeline.preparation import Preparation, prepare

    seen: list[Preparation] = []
    prepare(parts, seen.append)
    spent_s = sum(os.times()[2:4])
    print(
        f"{', '.join(parts)}: {seen[-1].elapsed_s:.1f} s, {spent_s:.1f} s of processor time in {len(parts)} processes"
    )


def main() -> None:
    """Compile with an empty cache."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--wall", action="store_true", help="as replay does, and how long it takes")
    parser.add_argument("--rows", type=int, default=25, help="lines of each list")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        # Before numba reads it, and for the processes that are started.
        os.environ["CLEARWAY_CACHE"] = cache
        os.environ.pop("NUMBA_CACHE_DIR", None)
        from numba.core import config

        config.reload_config()
        from pipeline.rehearsal import PARTS

        parts = args.parts or list(PARTS)
        if unknown := set(parts) - set(PARTS):
            parser.error(f"no such part: {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
        if args.wall:
            compile_aside(parts)
        else:
            compile_here(parts, args)


if __name__ == "__main__":
    main()
