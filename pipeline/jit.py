"""How the pipeline compiles its kernels.

One decorator, so that every kernel is built alike: machine code without the interpreter lock (threads overlap),
kept on disk (only the first run on a machine compiles: `pipeline.kernel_cache`), and typed as the plain function that
it decorates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, cast

import numba
from numba.core.registry import CPUDispatcher
from numba.core.types import unliteral  # type: ignore[attr-defined]

from pipeline.kernel_cache import KernelCache

__all__ = ["InnerKernel", "Kernel", "kernel"]

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(*, fastmath: bool = False, inline: bool = False, inner: bool = False) -> Callable[[Function], Function]:
    """Compile a function of arrays and numbers to machine code with numba.

    Args:
        fastmath: Let the compiler reorder float arithmetic. Only where no NaN or infinity can occur.
        inline: Paste the function into its callers, for tiny ones called per element.
        inner: Only other kernels call it. It gets no way in from Python, whose compiling would take as long as the
            function's own: the compiler works the whole of it into that as well. A call from Python raises `TypeError`.
    """

    def compile_with_numba(function: Function) -> Function:
        options = {"nogil": True, "fastmath": fastmath, "error_model": "numpy"}
        # Nor does any need a way in from C, which is a second copy likewise.
        options |= {"no_cfunc_wrapper": True, "no_cpython_wrapper": inner}
        if inline:
            options["inline"] = "always"
        compiled = numba.njit(**options)(function)
        if isinstance(compiled, CPUDispatcher):  # Else NUMBA_DISABLE_JIT is set.
            compiled.__class__ = InnerKernel if inner else Kernel
            compiled.enable_caching()
        return cast("Function", compiled)

    return compile_with_numba


class Kernel(CPUDispatcher):  # type: ignore[misc]
    """A kernel that is compiled once for all whole numbers; numba would compile it anew for each one in a call."""

    def enable_caching(self) -> None:
        """Keep what is compiled on disk."""
        try:
            self._cache = KernelCache(self.py_func)
        except RuntimeError:  # Nowhere to keep it: a file system that cannot be written to. It is compiled in each run.
            return

    def get_call_template(self, args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        """What a call from another kernel with such arguments is compiled to."""
        return super().get_call_template(
            tuple(unliteral(one) for one in args), {name: unliteral(one) for name, one in kws.items()}
        )


class InnerKernel(Kernel):
    """A kernel that Python cannot call: numba would jump to where its way in is not."""

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Refuse.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"{self.py_func.__qualname__} is an inner kernel: only kernels call it")
