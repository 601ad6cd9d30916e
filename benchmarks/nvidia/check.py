"""All that a machine with an NVIDIA GPU can prove, in one command: scripts/gpu_check [--quick] [--out FOLDER]

Finds what is there; runs the tests marked `gpu`; compares every engine and precision with FP32 on the CPU; measures
speed; writes benchmarks/results/<gpu>-<tensorrt>.json and .md. Each step is a process of its own: one that crashes is a
line in the results, and the others still run.

Exit codes: 0 everything passed; 1 something failed (the results say what); 2 there is no GPU that can be used.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec

from benchmarks.nvidia.figures import ParityRow, Results, Speed, file_stem, table
from benchmarks.nvidia.inventory import Inventory, take_inventory

__all__ = ["Check", "main"]

PROJECT = Path(__file__).resolve().parents[2]
_LIMIT_S = 3600


class Check:
    """Runs the steps and keeps what failed.

    Args:
        folder: Where the steps leave their figures.
        quick: Fewer pictures: minutes become some two.
    """

    def __init__(self, folder: Path, quick: bool) -> None:
        self._folder, self._quick = folder, quick
        self.failures: list[str] = []

    def run_tests(self, selection: Sequence[str] = ("-m", "gpu", "tests/gpu")) -> dict[str, int]:
        """Run pytest; returns how many passed, failed, were skipped, had errors."""
        report = self._folder / "tests.xml"
        code = self._run("tests", "-m", "pytest", "-q", f"--junitxml={report}", *selection)
        if not report.is_file():
            self.failures.append(f"the tests ended with exit code {code} before they could report")
            return {}
        counts = count_tests(report)
        if not counts["passed"]:
            self.failures.append("no test marked gpu has run and passed")
        return counts

    def compare(self) -> tuple[ParityRow, ...]:
        """Every engine and precision against FP32 on the CPU."""
        arguments = ["-m", "benchmarks.nvidia.parity", *(("--frames", "4") if self._quick else ())]
        return tuple(self._figures("parity", arguments, list[ParityRow]) or ())

    def measure(self, precisions: Sequence[str]) -> tuple[Speed, ...]:
        """Speed in each of these precisions."""
        found: list[Speed] = []
        for precision in precisions:
            arguments = ["benchmarks/gpu.py", "--precision", precision, *(("--count", "50") if self._quick else ())]
            found += self._figures(f"speed in {precision}", arguments, list[Speed]) or ()
        return tuple(found)

    def _figures(self, step: str, arguments: Sequence[str], kind: Any) -> Any:
        out = self._folder / "figures.json"
        out.unlink(missing_ok=True)
        code = self._run(step, *arguments, "--json", str(out))
        if code or not out.is_file():
            self.failures.append(f"{step}: ended with exit code {code}")
            return None
        return msgspec.json.decode(out.read_bytes(), type=kind)

    def _run(self, step: str, *arguments: str) -> int:
        print(f"\n== {step}", flush=True)
        try:
            return subprocess.run([sys.executable, *arguments], cwd=PROJECT, timeout=_LIMIT_S, check=False).returncode
        except subprocess.TimeoutExpired:
            self.failures.append(f"{step}: stopped after {_LIMIT_S} s")
            return -1


def count_tests(report: Path) -> dict[str, int]:
    """What a JUnit report says."""
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))  # noqa: S314 - written by our own pytest
    total, failed, errors, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    return {"passed": total - failed - errors - skipped, "failed": failed, "errors": errors, "skipped": skipped}


def main(arguments: Sequence[str] | None = None) -> int:
    """Everything."""
    parser = argparse.ArgumentParser(
        prog="gpu_check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer pictures")
    parser.add_argument("--out", type=Path, default=PROJECT / "benchmarks" / "results")
    args = parser.parse_args(arguments)
    inventory = take_inventory()
    if inventory.problem:
        print(f"gpu_check: error: {inventory.problem}; nothing was measured", file=sys.stderr)
        return 2
    print("\n".join(inventory.lines()), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        results = _check(Check(Path(folder), args.quick), inventory)
    args.out.mkdir(parents=True, exist_ok=True)
    stem = args.out / file_stem(inventory)
    # Appending a suffix: with_suffix would take the version's last number for one.
    Path(f"{stem}.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
    Path(f"{stem}.md").write_text(table(results))
    print(f"\n{table(results)}\nwritten: {stem}.json, {stem}.md")
    return 0 if results.passed else 1


def _check(check: Check, inventory: Inventory) -> Results:
    tests = check.run_tests()
    parity = check.compare()
    ran = [row.engine.split()[1] for row in parity if row.ran and row.engine.startswith("tensorrt ")]
    return Results(
        measured_at=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        commit=_commit(),
        inventory=inventory,
        tests=tests,
        parity=parity,
        speed=check.measure(ran),
        failures=tuple(check.failures),
    )


def _commit() -> str:
    """Of the tree that was checked, with a plus where it was changed."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"], cwd=PROJECT, capture_output=True, text=True, check=False
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
