"""Real PyCUDA loads, packs and launches the kernels; the driver below it lies in memory and runs them on the CPU."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.cuda.conftest import SOURCE as DRIVER_SOURCE
from tests.engines.kernels.host import HERE, SOURCES
from tests.engines.kernels.pycuda_session import SCENARIOS


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = importlib.util.find_spec("pycuda")
    if found is None or found.origin is None:
        pytest.skip("PyCUDA is not installed (it is compiled against a CUDA toolkit)")
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile the kernels with")
    folder = tmp_path_factory.mktemp("driver")
    kernels = HERE / "driver_kernels.cpp"
    present = {
        name for path in (DRIVER_SOURCE, kernels) for name in re.findall(r"^int (cu\w+)\(", path.read_text(), re.M)
    }
    (extension,) = Path(found.origin).parent.glob("_driver.*.so")
    wanted = {symbol.decode() for symbol in re.findall(rb"\bcu[A-Z]\w+", extension.read_bytes())}
    missing = folder / "missing.c"
    missing.write_text("".join(f"int {name}(void) {{ return 801; }}\n" for name in sorted(wanted - present)))
    objects = [folder / f"{path.stem}.o" for path in (DRIVER_SOURCE, missing, kernels)]
    for source, target in zip((DRIVER_SOURCE, missing), objects, strict=False):
        subprocess.run(["gcc", "-c", "-fPIC", source, "-o", target], check=True)
    flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-c", "-fPIC", f"-I{SOURCES}", f"-I{HERE}"]
    subprocess.run(["g++", *flags, kernels, "-o", objects[2]], check=True)
    library = folder / "libcuda.so.1"
    subprocess.run(["g++", "-shared", "-Wl,-soname,libcuda.so.1", *objects, "-o", library], check=True)
    return library


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_kernels_through_pycuda(driver: Path, scenario: str):
    done = subprocess.run(
        [sys.executable, "-m", "tests.engines.kernels.pycuda_session", str(driver), scenario],
        cwd=HERE.parents[2],
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
