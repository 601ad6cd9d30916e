"""The stubs that mypy checks our calls against, held against the library that is installed.

TensorRT-RTX stands for TensorRT 10 and 11, whose names it shares. What only some releases have, the stub says in a
comment: those names must be real in RTX (``from 10 on``, ``TensorRT-RTX``) or are left to older ones (``up to 10``).
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

STUB = Path(__file__).resolve().parents[3] / "typings/tensorrt/__init__.pyi"


def declared() -> dict[str, str]:
    """Every name of the stub, dotted, and the comment of its line; what a class says holds for all in it."""
    lines = STUB.read_text().splitlines()
    comments = {}
    for entry in ast.parse(STUB.read_text()).body:
        said = _comment(lines, entry)
        comments.update(dict.fromkeys(_names(entry), said))
        for inner in entry.body if isinstance(entry, ast.ClassDef) else []:
            for name in _names(inner):
                comments[f"{entry.name}.{name}"] = said or _comment(lines, inner)
    return {name: said for name, said in comments.items() if not name.endswith("__init__")}


def _comment(lines: list[str], entry: ast.stmt) -> str:
    return lines[entry.lineno - 1].partition("#")[2].strip().removeprefix("type: ignore[misc]").strip()


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
    assert names["BuilderFlag.FP16"] == "up to 10"
    assert names["IProgressMonitor.phase_start"] == "from 10 on"


@pytest.mark.rtx
def test_every_name_is_real(library):
    is_rtx = library.__name__ == "tensorrt_rtx"
    missing = []
    for dotted, said in declared().items():
        place = library
        for part in dotted.split("."):
            place = getattr(place, part, None)
        elsewhere = said.startswith("up to") if is_rtx else bool(said)
        if place is None and not elsewhere:
            missing.append(dotted)
    assert missing == []


def test_rtx_is_stubbed_by_tensorrt():
    text = (STUB.parent.parent / "tensorrt_rtx/__init__.pyi").read_text()
    assert "from tensorrt import *" in text
