"""CUDA graphs through ctypes: the calls, their order, and what is left when one fails."""

from __future__ import annotations

import ctypes

import pytest

from engines.cuda.capture import capture
from engines.errors import EngineError
from tests.engines.cuda.conftest import compile_driver

STREAM = 0x7F00000000001234  # more than 32 bits: a handle that ctypes would cut off if it took it for an int


@pytest.fixture
def driver(tmp_path) -> ctypes.CDLL:
    return ctypes.CDLL(str(compile_driver(tmp_path)))


def counter(driver: ctypes.CDLL, name: str) -> ctypes.c_int:
    return ctypes.c_int.in_dll(driver, name)


def test_captures_launches_and_frees(driver):
    during = []
    graph = capture(STREAM, lambda: during.append(counter(driver, "capturing").value), driver)
    assert during == [1]
    graph.launch(STREAM)
    graph.launch(STREAM)
    assert counter(driver, "launches").value == 2
    assert ctypes.c_void_p.in_dll(driver, "last_stream").value == STREAM
    graph.close()
    assert (counter(driver, "graphs").value, counter(driver, "runnables").value) == (0, 0)


@pytest.mark.parametrize("step", ["begin", "end", "instantiate"])
def test_a_failure_leaves_nothing_behind(driver, step):
    counter(driver, f"fail_{step}").value = 901
    with pytest.raises(EngineError, match="would make the legacy stream depend"):
        capture(STREAM, lambda: None, driver)
    for name in ("capturing", "graphs", "runnables"):
        assert counter(driver, name).value == 0


def test_work_that_raises_ends_the_capture(driver):
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        capture(STREAM, fail, driver)
    assert counter(driver, "capturing").value == 0


def test_a_code_without_a_text_is_told_by_its_number(driver):
    graph = capture(STREAM, lambda: None, driver)
    counter(driver, "fail_launch").value = 719
    with pytest.raises(EngineError, match="cuGraphLaunch failed: CUDA error 719"):
        graph.launch(STREAM)
