"""What is the same for the engines of every library: importing it, checking tensors, wrapping its errors, closing."""

from __future__ import annotations

import importlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, ParamSpec, TypeVar

import numpy as np

from engines.base import ModelSpec, Tensor
from engines.errors import EngineError

__all__ = ["CheckedEngine", "describe", "import_library", "reason"]


_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def import_library(module: str, title: str, package: str) -> Any:
    """Import an inference library when it is first needed.

    Args:
        module: What to import.
        title: What people call the library.
        package: What to install when it is missing.

    Raises:
        EngineError: It is not installed, or its installation is broken; says what to install.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise EngineError(f"{title} is not installed: pip install {package}") from error
        raise EngineError(f"{title} is not complete ({reason(error)}): pip install --upgrade {package}") from error
    except (ImportError, OSError) as error:
        raise EngineError(f"{title} cannot be loaded: {reason(error)}: pip install --upgrade {package}") from error


_NOISE = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed: ?|/onnxruntime_src/\S+:\d+ .*?\) (?=[A-Z])"
    r"|\w+\.(cc|h):\d+ \w+ "
    r"|Exception from \S+:\d+: ?|Check '.*?' failed at \S+:\d+: ?|FrontEnd API failed with \w+: ?"
)
_LONGEST = 240


def reason(error: BaseException) -> str:
    """What a library's exception says, on one line, without its codes and the places in its source code."""
    said = " ".join(str(error).split())
    text = _NOISE.sub("", said).strip() or said or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def describe(library: str, processor: str, precision: str, threads: int) -> str:
    """One line for people, for instance ``"OpenVINO 2026.4.1, CPU (Intel Xeon), bf16, 2 threads"``."""
    return f"{library}, CPU ({processor}), {precision}, {threads} {'thread' if threads == 1 else 'threads'}"


class CheckedEngine(ABC):
    """An `engines.base.Engine` without its library: subclasses open it, then write `_run` and `_free`.

    Args:
        spec: The model as it was opened.
        description: One line for people.
        step: How many pictures the library takes in one call: 1, or all where the graph fixes its batch.

    Attributes:
        kind: The short name that selects this kind of engine.
        title: What people call the library.
    """

    kind: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, spec: ModelSpec, description: str, step: int = 1) -> None:
        self._spec = spec
        self._description = description
        self._step = step
        self._is_open = True

    @property
    def spec(self) -> ModelSpec:
        """The model inside, with the shapes it was opened for."""
        return self._spec

    @property
    def description(self) -> str:
        """One line for people: library, version, device, precision, threads."""
        return self._description

    def infer(self, tensor: Tensor) -> Tensor:
        """Run the model on some pictures; see `engines.base.Engine.infer`."""
        self._check(tensor)
        return self._attempt(self._run, tensor)

    def _check(self, tensor: Tensor) -> None:
        self._check_open()
        if (
            not isinstance(tensor, np.ndarray)
            or tensor.dtype != np.float32
            or tensor.ndim != 4
            or tensor.shape[1:] != self._spec.input_shape[1:]
            or not 0 < len(tensor) <= self._spec.input_shape[0]
            or len(tensor) % self._step
            or not tensor.flags.c_contiguous
        ):
            raise EngineError(
                f"{self.title} engine of {self._spec.name} takes a C-contiguous float32 array of "
                f"{self._spec.input_shape}, not {_layout(tensor)}"
            )

    def _check_open(self) -> None:
        if not self._is_open:
            raise EngineError(f"{self.title} engine of {self._spec.name} is closed")

    def _attempt(
        self, work: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        """Call the library; what it raises becomes an `EngineError`."""
        try:
            return work(*args, **kwargs)
        except EngineError:
            raise
        except Exception as error:  # the libraries' exceptions have no common base
            raise EngineError(f"{self.title} failed to run {self._spec.name}: {reason(error)}") from error

    def close(self) -> None:
        """Free everything. May be called more than once."""
        if self._is_open:
            self._is_open = False
            self._free()

    def __enter__(self) -> CheckedEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _run(self, tensor: Tensor) -> Tensor:
        """Run the model on a tensor that was checked; anything raised becomes an `EngineError`."""

    @abstractmethod
    def _free(self) -> None:
        """Let go of what the library holds; called once."""


def _layout(tensor: object) -> str:
    if not isinstance(tensor, np.ndarray):
        return f"a {type(tensor).__name__}"
    return f"{'' if tensor.flags.c_contiguous else 'strided '}{tensor.dtype} of {tensor.shape}"
