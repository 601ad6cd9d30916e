"""Real PyCUDA on a driver in the host's memory, in a process of its own: `python pycuda_session.py DRIVER SCENARIO`."""

from __future__ import annotations

import ast
import ctypes
import gc
import sys
import threading
from pathlib import Path

import numpy as np

from engines.cuda import pycuda_device
from engines.cuda.pycuda_device import PyCudaDevice, open_device
from engines.errors import EngineError

STUB = Path(__file__).resolve().parents[3] / "typings/pycuda/driver.pyi"


class Driver:
    """What the driver counts, and where it is told to fail."""

    def __init__(self, path: str) -> None:
        # Loaded before PyCUDA, which asks for a library of this name and finds it here.
        self.library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)

    def __getitem__(self, name: str) -> int:
        return ctypes.c_int.in_dll(self.library, name).value

    def __setitem__(self, name: str, value: int) -> None:
        ctypes.c_int.in_dll(self.library, name).value = value


def refusal(call, *args) -> str:
    try:
        call(*args)
    except EngineError as error:
        return str(error)
    raise AssertionError("nothing was refused")


def describes(driver: Driver, gpu: PyCudaDevice) -> None:
    assert (gpu.name, gpu.compute_capability) == ("In memory", (8, 9))
    assert gpu.driver.endswith("CUDA 13.0")


def round_trip(driver: Driver, gpu: PyCudaDevice) -> None:
    with gpu.active():
        upload, compute, download = gpu.stream(), gpu.stream(), gpu.stream()
        uploaded, computed = gpu.event(), gpu.event()
        sent, received = gpu.page_locked((3, 5), np.float32), gpu.page_locked((2, 5), np.float32)
        first, second = gpu.allocate(sent.nbytes), gpu.allocate(sent.nbytes)
        sent[:] = np.arange(15).reshape(3, 5)
        gpu.upload(first.address, sent[:2], upload)
        uploaded.record(upload)
        compute.wait(uploaded)
        gpu.copy(second.address, first.address, received.nbytes, compute)
        computed.record(compute)
        download.wait(computed)
        gpu.download(received, second.address, download)
        computed.synchronize()
        download.synchronize()
        np.testing.assert_array_equal(received, sent[:2])
        assert first.nbytes == 60
        assert len({stream.handle for stream in (upload, compute, download)}) == 3
        first.free()
        second.free()
        del sent, received, uploaded, computed, upload, compute, download
        gc.collect()
    assert (driver["allocations"], driver["streams"], driver["events"]) == (0, 0, 0)


def clocks(driver: Driver, gpu: PyCudaDevice) -> None:
    """A stream's time between two events; what has no clock, or was never reached, is refused."""
    with gpu.active():
        stream, plain = gpu.stream(), gpu.event()
        begun, ended = gpu.event(timed=True), gpu.event(timed=True)
        begun.record(stream)
        assert "the GPU failed: cuEventElapsedTime" in refusal(ended.ms_since, begun)
        plain.record(stream)
        ended.record(stream)
        assert (ended.ms_since(begun), begun.ms_since(begun)) == (2.0, 0.0)
        assert "the GPU failed: cuEventElapsedTime" in refusal(ended.ms_since, plain)
        driver["fail_elapsed"] = 700
        assert "illegal memory access" in refusal(ended.ms_since, begun)
        del begun, ended, plain
        gc.collect()
    assert driver["events"] == 0


def capture(driver: Driver, gpu: PyCudaDevice) -> None:
    with gpu.active():
        stream = gpu.stream()
        graph = gpu.capture(stream, lambda: None)
        graph.launch(stream)
        assert driver["launches"] == 1
        graph.close()
        driver["fail_end"] = 901
        assert "cannot be captured as a CUDA graph" in refusal(gpu.capture, stream, lambda: None)
        assert (driver["graphs"], driver["runnables"], driver["capturing"]) == (0, 0, 0)


def no_memory(driver: Driver, gpu: PyCudaDevice) -> None:
    with gpu.active():
        said = refusal(gpu.allocate, 1 << 30)
    assert said == "not enough memory on In memory: 1024 MiB needed, 64 of 64 MiB free", said


def errors_of_the_gpu(driver: Driver, gpu: PyCudaDevice) -> None:
    with gpu.active():
        stream, event, memory = gpu.stream(), gpu.event(), gpu.allocate(64)
        array = gpu.page_locked((16,), np.float32)
        driver["fail_copy"] = driver["fail_wait"] = 700
        for call in (
            lambda: gpu.upload(memory.address, array, stream),
            lambda: gpu.download(array, memory.address, stream),
            lambda: gpu.copy(memory.address, memory.address, 64, stream),
            stream.synchronize,
            event.synchronize,
        ):
            said = refusal(call)
            assert said.startswith("the GPU failed: cu"), said
            assert "illegal memory access" in said, said
    assert driver.library.context_depth() == 0


def without_a_context(driver: Driver, gpu: PyCudaDevice) -> None:
    assert "the GPU failed" in refusal(gpu.allocate, 64)


def threads(driver: Driver, gpu: PyCudaDevice) -> None:
    """A thread that ends with a context would abort the process: PyCUDA does that, and this one lives on."""
    seen, errors = [], []

    def work() -> None:
        try:
            with gpu.active(), gpu.active():
                seen.append(driver.library.context_depth())
                gpu.allocate(64).free()
                raise ZeroDivisionError
        except ZeroDivisionError as error:
            errors.append(error)
        seen.append(driver.library.context_depth())

    for _ in range(4):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    # PyCUDA keeps one context on the driver's stack, and swaps it.
    assert seen == [1, 0] * 4, seen
    assert len(errors) == 4


def opened_again(driver: Driver, gpu: PyCudaDevice) -> None:
    assert driver["retained"] == 1
    again = open_device()
    with gpu.active(), again.active():
        memory = gpu.allocate(64)
        memory.free()
    assert driver["retained"] == 1, "the primary context is retained once for the process"


def no_device(driver: Driver, gpu: PyCudaDevice) -> None:
    assert "the GPU cannot be used: cuDeviceGet failed" in refusal(open_device, 7)


def another_thread_opened_it(driver: Driver, gpu: PyCudaDevice) -> None:
    """As in a run: the thread that opened the GPU has ended, others go on using it, and the process ends in silence."""
    with gpu.active():
        stream, array = gpu.stream(), gpu.page_locked((4,), np.float32)
        memory = gpu.allocate(16)
        gpu.upload(memory.address, array, stream)
        stream.synchronize()
        memory.free()


def stubs(driver: Driver, gpu: PyCudaDevice) -> None:
    """Every name that mypy takes for real is."""
    from pycuda import driver as real

    for entry in ast.parse(STUB.read_text()).body:
        if isinstance(entry, ast.ClassDef | ast.FunctionDef):
            assert hasattr(real, entry.name), entry.name
            for inner in getattr(entry, "body", []):
                if isinstance(inner, ast.FunctionDef) and isinstance(entry, ast.ClassDef):
                    assert hasattr(getattr(real, entry.name), inner.name), f"{entry.name}.{inner.name}"


SCENARIOS = {
    function.__name__: function
    for function in (
        describes,
        round_trip,
        clocks,
        capture,
        no_memory,
        errors_of_the_gpu,
        without_a_context,
        threads,
        opened_again,
        no_device,
        another_thread_opened_it,
        stubs,
    )
}

if __name__ == "__main__":
    pycuda_device.why_no_gpu = lambda: None
    the_driver = Driver(sys.argv[1])
    if sys.argv[2] == another_thread_opened_it.__name__:
        opener = threading.Thread(target=open_device)
        opener.start()
        opener.join()
    SCENARIOS[sys.argv[2]](the_driver, open_device())
    assert the_driver.library.context_depth() == 0
