"""The stubs that mypy checks our calls against, held against the library that is installed.

TensorRT-RTX stands for TensorRT 10 and 11, whose names it shares; what only older releases have is listed here.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

STUB = Path(__file__).resolve().parents[3] / "typings/tensorrt/__init__.pyi"
ONLY_BEFORE_11 = {"NetworkDefinitionCreationFlag.EXPLICIT_BATCH", "BuilderFlag.FP16", "BuilderFlag.INT8"}


def declared() -> list[str]:
    """Every name of the stub, dotted."""
    names = []
    for entry in ast.parse(STUB.read_text()).body:
        if isinstance(entry, ast.ClassDef):
            names.append(entry.name)
            names += [f"{entry.name}.{name}" for inner in entry.body for name in _names(inner)]
        else:
            names += _names(entry)
    return [name for name in names if not name.endswith("__init__")]


def _names(entry: ast.stmt) -> list[str]:
    if isinstance(entry, ast.FunctionDef | ast.ClassDef):
        return [entry.name]
    if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name):
        return [entry.target.id]
    if isinstance(entry, ast.Assign):
        return [target.id for target in entry.targets if isinstance(target, ast.Name)]
    return []


@pytest.fixture(scope="module", params=["tensorrt", "tensorrt_rtx"])
def library(request):
    return pytest.importorskip(request.param, reason=f"{request.param} is not installed", exc_type=ImportError)


def test_the_stub_declares_what_is_used():
    names = declared()
    assert len(names) > 50
    assert {"Runtime.deserialize_cuda_engine", "IExecutionContext.execute_async_v3", "ILogger.Severity"} <= set(names)


@pytest.mark.rtx
def test_every_name_is_real(library):
    missing = []
    for dotted in declared():
        place = library
        for part in dotted.split("."):
            place = getattr(place, part, None)
        if place is None:
            missing.append(dotted)
    assert set(missing) <= ONLY_BEFORE_11


def test_rtx_is_stubbed_by_tensorrt():
    text = (STUB.parent.parent / "tensorrt_rtx/__init__.pyi").read_text()
    assert "from tensorrt import *" in text
