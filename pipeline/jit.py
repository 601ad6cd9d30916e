"""How the pipeline compiles its kernels.

One decorator, so that every kernel is built alike: machine code without the interpreter lock (threads overlap),
cached on disk (only the first run on a machine compiles), and typed as the plain function that it decorates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["kernel"]

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(*, fastmath: bool = False, inline: bool = False) -> Callable[[Function], Function]:
    """Compile a function of arrays and numbers to machine code with numba.

    Args:
        fastmath: Let the compiler reorder float arithmetic. Only where no NaN or infinity can occur.
        inline: Paste the function into its callers, for tiny ones called per element.
    """

    def compile_with_numba(function: Function) -> Function:
        options = {"nogil": True, "cache": True, "fastmath": fastmath, "error_model": "numpy"}
        if inline:
            options["inline"] = "always"
        return cast("Function", numba.njit(**options)(function))

    return compile_with_numba
