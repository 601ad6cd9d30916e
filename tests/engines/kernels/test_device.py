"""Loading the kernels, with a driver that refuses; a driver that agrees needs a GPU (tests/gpu)."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engines.errors import EngineError
from engines.kernels import DeviceKernels, Launch

LAUNCH = Launch("tint", "tint_classes", (2, 1), (32, 8, 1), bytes(56))


class Function:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def prepare(self, formats: list[str]) -> None:
        self.formats = formats

    def prepared_async_call(self, *arguments: Any) -> None:
        self.calls.append(arguments)


class Driver(ModuleType):
    """The names of `pycuda.driver` that are used, and which kinds of image it takes."""

    class Error(Exception):
        pass

    def __init__(self, takes: set[str]) -> None:
        super().__init__("pycuda.driver")
        self.takes, self.loaded, self.function = takes, list[str](), Function()

    def module_from_buffer(self, image: bytes) -> Driver:
        kind = "ptx" if image.endswith(b"\0") and b".entry" in image else "fatbin"
        self.loaded.append(kind)
        if kind not in self.takes:
            raise self.Error("cuModuleLoadDataEx failed: device kernel image is invalid")
        return self

    def get_function(self, name: str) -> Function:
        return self.function


@pytest.fixture
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver(request.param)
    monkeypatch.setitem(sys.modules, "pycuda", ModuleType("pycuda"))
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    return driver


@pytest.mark.parametrize("driver", [{"fatbin", "ptx"}], indirect=True)
def test_a_module_is_loaded_once_and_its_structure_passed_by_value(driver: Driver):
    kernels = DeviceKernels()
    kernels.run(LAUNCH, "stream")
    kernels.run(LAUNCH, "stream")
    assert driver.loaded == ["fatbin"]
    assert driver.function.formats == ["56s"]
    assert driver.function.calls == [((2, 1), (32, 8, 1), "stream", bytes(56))] * 2
    kernels.close()
    kernels.close()


@pytest.mark.parametrize("driver", [{"ptx"}], indirect=True)
def test_a_driver_that_refuses_the_machine_code_gets_the_ptx(driver: Driver):
    DeviceKernels().run(LAUNCH)
    assert driver.loaded == ["fatbin", "ptx"]
    assert len(driver.function.calls) == 1


@pytest.mark.parametrize("driver", [set()], indirect=True)
def test_a_driver_that_refuses_both_is_said_in_one_line(driver: Driver):
    with pytest.raises(EngineError, match=r"tint\.fatbin: .*invalid; tint\.ptx: .*scripts/build_kernels"):
        DeviceKernels().run(LAUNCH)


@pytest.mark.parametrize("driver", [{"fatbin"}], indirect=True)
def test_modules_that_were_never_built_are_said_in_one_line(driver: Driver, tmp_path: Path):
    with pytest.raises(EngineError, match="No such file or directory"):
        DeviceKernels(tmp_path).run(LAUNCH)


def test_without_pycuda_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(EngineError, match="pip install"):
        DeviceKernels()
