"""A CUDA driver in the host's memory, compiled from driver_in_memory.c."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("driver_in_memory.c")


def compile_driver(folder: Path, wanted: Sequence[str] = ()) -> Path:
    """Compile it as ``libcuda.so.1``; the functions in `wanted` that it lacks are there, and not supported (801)."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    present = set(re.findall(r"^int (cu\w+)\(", SOURCE.read_text(), re.MULTILINE))
    missing = folder / "missing.c"
    missing.write_text("".join(f"int {name}(void) {{ return 801; }}\n" for name in wanted if name not in present))
    library = folder / "libcuda.so.1"
    flags = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wl,-soname,libcuda.so.1"]
    subprocess.run([compiler, *flags, "-o", library, SOURCE, missing], check=True, timeout=60)
    return library
