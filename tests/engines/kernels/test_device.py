"""Loading the kernels, with a driver that refuses; a driver that agrees needs a GPU (tests/gpu)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engines.errors import EngineError
from engines.kernels import DeviceKernels, Launch

LAUNCH = Launch("tint", "tint_classes", (2, 1), (32, 8, 1), bytes(56))


class PickyDevice:
    """A device that takes some kinds of images only, and remembers what it was given."""

    def __init__(self, takes: set[str]) -> None:
        self.takes = takes
        self.loaded: list[str] = []
        self.launched: list[tuple[Any, ...]] = []

    def load(self, image: bytes) -> PickyDevice:
        kind = "ptx" if image.endswith(b"\0") and b".entry" in image else "fatbin"
        self.loaded.append(kind)
        if kind not in self.takes:
            raise EngineError("the GPU failed: device kernel image is invalid")
        return self

    def launch(self, *arguments: Any) -> None:
        self.launched.append(arguments)


def test_a_module_is_loaded_once():
    device = PickyDevice({"fatbin", "ptx"})
    kernels = DeviceKernels(device)  # type: ignore[arg-type]
    for _ in range(2):
        kernels.run(LAUNCH, "stream")  # type: ignore[arg-type]
    assert device.loaded == ["fatbin"]
    assert device.launched == [("tint_classes", (2, 1), (32, 8, 1), bytes(56), "stream")] * 2


def test_a_driver_that_refuses_the_machine_code_gets_the_ptx():
    device = PickyDevice({"ptx"})
    DeviceKernels(device).run(LAUNCH, "stream")  # type: ignore[arg-type]
    assert device.loaded == ["fatbin", "ptx"]
    assert len(device.launched) == 1


def test_a_driver_that_refuses_both_is_said_in_one_line():
    with pytest.raises(EngineError, match=r"tint\.fatbin: .*invalid; tint\.ptx: .*scripts/build_kernels"):
        DeviceKernels(PickyDevice(set())).run(LAUNCH, "stream")  # type: ignore[arg-type]


def test_modules_that_were_never_built_are_said_in_one_line(tmp_path: Path):
    with pytest.raises(EngineError, match="No such file or directory"):
        DeviceKernels(PickyDevice({"fatbin"}), tmp_path).run(LAUNCH, "stream")  # type: ignore[arg-type]
