"""What is shipped of the kernels: made of these sources, for these structures, and rebuilt to the same bytes."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.kernels.class_map import CLASS_MAP_DTYPE, GRID_DTYPE
from engines.kernels.device import BUILT_FOLDER
from engines.kernels.letterbox import LETTERBOX_DTYPE
from engines.kernels.tint import TINT_DTYPE
from tests.engines.kernels.host import SOURCES

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "build_kernels"
STRUCTURES = {
    "letterbox": {"letterbox_f32": LETTERBOX_DTYPE, "letterbox_f16": LETTERBOX_DTYPE},
    "class_map": {
        "classify_grid_f32": GRID_DTYPE,
        "classify_grid_f16": GRID_DTYPE,
        "class_map_f32": CLASS_MAP_DTYPE,
        "class_map_f16": CLASS_MAP_DTYPE,
    },
    "tint": {"tint_classes": TINT_DTYPE},
}


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    return json.loads((BUILT_FOLDER / "manifest.json").read_text())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_built_from_the_sources_that_lie_beside_them(manifest: dict[str, Any]):
    """Fails after a change to a kernel: run scripts/build_kernels and commit what it wrote."""
    assert manifest["sources"] == {path.name: sha256(path) for path in SOURCES.glob("*.cu*")}
    assert manifest["files"] == {path.name: sha256(path) for path in BUILT_FOLDER.iterdir() if path.suffix != ".json"}


def test_serves_the_gpus_it_says_and_stays_small(manifest: dict[str, Any]):
    assert {"sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90", "sm_100", "sm_120"} <= set(manifest["machine_code"])
    assert manifest["left_out"] == ["sm_72"]
    assert sum(path.stat().st_size for path in BUILT_FOLDER.iterdir()) < 1_000_000


@pytest.mark.parametrize("module", STRUCTURES)
def test_the_gpus_structures_are_as_large_as_ours(module: str):
    ptx = (BUILT_FOLDER / f"{module}.ptx").read_text()
    compiled = dict(re.findall(r"\.param \.align 8 \.b8 (\w+)_param_0\[(\d+)\]", ptx))
    assert compiled == {kernel: str(dtype.itemsize) for kernel, dtype in STRUCTURES[module].items()}


@pytest.mark.parametrize("module", STRUCTURES)
def test_threads_share_nothing_and_wait_for_nobody(module: str):
    """What lets a loop on a CPU stand for the GPU."""
    ptx = (BUILT_FOLDER / f"{module}.ptx").read_text()
    assert not re.search(r"\.shared|\bbar\.|\batom\.|\bred\.|\bshfl\.|\bvote\.", ptx)


@pytest.mark.parametrize("module", STRUCTURES)
def test_the_drivers_assembler_takes_the_ptx(module: str, tmp_path: Path):
    ptxas = shutil.which("ptxas")
    if ptxas is None:
        pytest.skip("no ptxas to assemble PTX with")
    command = [ptxas, "-arch=sm_90", "-v", str(BUILT_FOLDER / f"{module}.ptx"), "-o", str(tmp_path / "out.cubin")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    spilled = re.findall(r"(\d+) bytes spill", done.stderr)
    assert spilled
    assert set(spilled) == {"0"}


@pytest.mark.slow
def test_a_fresh_build_is_the_same_byte_for_byte(manifest: dict[str, Any]):
    nvcc = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
    if nvcc is None:
        pytest.skip("no nvcc to build the kernels with")
    said = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    if f"V{manifest['nvcc']}" not in said:
        pytest.skip(f"this is not nvcc {manifest['nvcc']}, which built what is shipped")
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_compiler_it_says_so(tmp_path: Path):
    command = [sys.executable, str(SCRIPT), "--nvcc", str(tmp_path / "nvcc"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("build_kernels: error: ")
    assert len(done.stderr.splitlines()) == 1


def test_structures_have_no_holes_that_a_compiler_could_fill_otherwise():
    """Every field on a multiple of its own size: C lays them out just so."""
    for structures in STRUCTURES.values():
        for dtype in structures.values():
            assert dtype.itemsize % 8 == 0
            assert dtype.fields is not None
            for name in dtype.names or ():
                base = np.dtype(dtype.fields[name][0]).base
                alignment = 8 if base.names else base.itemsize
                assert dtype.fields[name][1] % alignment == 0, name
