"""Compiled kernels, kept: where, under which name, and when they are out of date.

Numba keeps them beside the sources, so that every clone compiles anew, and looks at a kernel's own file alone: where a
kernel that it calls, or a constant that it was compiled with, changes in another file, it goes on with the old code. So
they are kept here by the content of the file and of all files of the project that it imports, with the versions of the
compiler: the same in every clone, installation and container with the same sources, and never stale.

What is kept is machine code in pickles, which are loaded on trust. The folder and all above it must therefore belong to
the user (or root) and be closed to the pens of others; where they are not, numba keeps them beside the sources.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

from engines.errors import EngineError
from engines.user_cache import cache_folder, refuse_open_folder

__all__ = ["KernelCache", "kernel_folder", "prune_kernels", "source_stamp"]

_PROJECT = Path(__file__).parents[1]
_IMPORT = re.compile(
    r"^(?:from[ ]+((?:pipeline|engines)[\w.]*)[ ]+import[ ]+(\([^)]*\)|[^\n]*)|import[ ]+((?:pipeline|engines)[\w.]*))",
    re.MULTILINE,
)


@cache
def kernel_folder() -> Path | None:
    """Where kernels are kept: ``$NUMBA_CACHE_DIR``, ``$CLEARWAY_CACHE/kernels``, else in the user's cache folder.

    Made, with mode 0700, where it is not there. None where it cannot be written, or others than the user can write to
    it; what ``$NUMBA_CACHE_DIR`` names is taken as it is, as numba does.
    """
    folder = Path(config.CACHE_DIR) if config.CACHE_DIR else cache_folder("kernels")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not config.CACHE_DIR:
            refuse_open_folder(folder)
    except (EngineError, OSError):
        return None
    return folder if os.access(folder, os.W_OK) else None


def prune_kernels(folder: Path, unused_s: float) -> None:
    """Remove what no process has used for so long: kernels of older sources, other compilers."""
    for entry in folder.iterdir():
        try:
            if time.time() - entry.stat().st_mtime < unused_s:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        except OSError:  # Another process was faster, or has just put something in: its turn will come.
            continue


@cache
def source_stamp(path: Path) -> str:
    """SHA-256 of a file of the project, of all that it imports from the project, and of the compiler's versions."""
    contents, waiting = {}, [path]
    while waiting:
        one = waiting.pop()
        if one not in contents:
            contents[one], imported = _content(one)
            waiting.extend(imported)
    parts = [f"{one.relative_to(_PROJECT).as_posix()} {contents[one]}" for one in sorted(contents)]
    return hashlib.sha256("\n".join([numba.__version__, llvmlite.__version__, *parts]).encode()).hexdigest()


@cache
def _content(path: Path) -> tuple[str, tuple[Path, ...]]:
    """SHA-256 of a file, and the project's files that it imports when it is loaded: what its kernels may be made of."""
    source = path.read_bytes()
    found: list[Path] = []
    for package, names, module in _IMPORT.findall(source.decode()):
        home = _PROJECT.joinpath(*(package or module).split("."))
        found += [home.with_suffix(".py"), home / "__init__.py"]
        found += [(home / name).with_suffix(".py") for name in re.findall(r"\w+", names)]
    return hashlib.sha256(source).hexdigest(), tuple(one for one in found if one.is_file())


class _ByContent(_CacheLocator):  # type: ignore[misc]
    """Tells numba where the kernels of one file are kept."""

    def __init__(self, folder: Path, path: Path, line: int) -> None:
        self._stamp, self._line = source_stamp(path), line
        name = ".".join(path.relative_to(_PROJECT).with_suffix("").parts)
        self._folder = folder / f"{name}-{self._stamp[:20]}"

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _ByContent | None:
        """The folder for a function's file; None where there can be none."""
        folder, path = kernel_folder(), Path(py_file)
        if folder is None or not path.is_relative_to(_PROJECT) or not path.is_file():
            return None
        self = cls(folder, path, py_func.__code__.co_firstlineno)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            os.utime(self._folder)  # In use: not to be pruned.
        except OSError:
            return None
        return self

    def get_cache_path(self) -> str:
        """The file's own folder."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """What the sources must be."""
        return self._stamp

    def get_disambiguator(self) -> str:
        """Tells functions of one name apart."""
        return str(self._line)


class _ByContentFirst(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = [_ByContent, *CompileResultCacheImpl._locator_classes]  # noqa: RUF012


class KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function, in that folder."""

    _impl_class = _ByContentFirst
