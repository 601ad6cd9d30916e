"""A TensorRT engine of the tiny network on a GPU that is not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from engines.artifact import load_artifact
from engines.tensorrt.cache import EngineCache
from engines.tensorrt.engine import TensorRtEngine
from tests.engines.tensorrt.simulated_gpu import SimulatedGpu
from tests.engines.tensorrt.simulated_tensorrt import SimulatedTensorRt


class Machine:
    """A machine with a GPU and a TensorRT: what `open` opens, with everything that it says in `notes`."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.gpu = SimulatedGpu()
        self.trt = SimulatedTensorRt(self.gpu)
        self.cache = EngineCache(folder / "cache")
        self.model = model
        self.notes: list[str] = []
        self.flavour: Literal["tensorrt", "tensorrt_rtx"] = "tensorrt"

    def open(self, *, size_hw=(64, 96), batch=1, precision="fp32") -> TensorRtEngine:
        self.notes.clear()
        return TensorRtEngine(
            load_artifact(self.model),
            size_hw,
            batch,
            precision,
            on_note=self.notes.append,
            device=self.gpu,
            library=self.trt.library(self.flavour),
            cache=self.cache,
        )

    def kept(self) -> list[Path]:
        return sorted(self.cache.folder.glob("*.engine"))

    def assert_nothing_is_left(self) -> None:
        assert self.gpu.memory == {}
        assert self.gpu.left_active == 0
        assert self.trt.live == []


@pytest.fixture
def machine(tiny, tmp_path) -> Machine:
    return Machine(tmp_path, tiny.write())


@pytest.fixture
def upgrade(machine) -> Callable[[str], None]:
    """Put another TensorRT on the machine."""

    def upgrader(version: str) -> None:
        machine.trt = SimulatedTensorRt(machine.gpu, version)

    return upgrader
