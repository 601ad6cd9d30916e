"""What a first run does before it begins: it compiles in several processes, leaves a note, and leaves nobody behind."""

from __future__ import annotations

import psutil
import pytest

from pipeline import kernel_cache
from pipeline.kernel_cache import kernel_folder
from pipeline.preparation import Preparation, prepare

PART = "overlay on video"
"""The one that compiles fastest."""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_cache.config, "CACHE_DIR", "")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("CLEARWAY_CACHE", str(tmp_path / "cache"))
    kernel_folder.cache_clear()
    yield tmp_path / "cache"
    kernel_folder.cache_clear()


def test_a_part_is_compiled_once_and_kept(cache):
    seen: list[Preparation] = []
    prepare([PART], seen.append)
    assert (seen[0].done, seen[0].parts) == (0, 1)
    assert (seen[-1].done, seen[-1].parts) == (1, 1)
    assert list(cache.glob("kernels/pipeline.overlay.yuv_kernels-*/*.nbc"))
    prepare([PART], lambda _: pytest.fail("compiled again"))


def test_who_interrupts_leaves_no_process_behind(cache):
    def interrupt(_: Preparation) -> None:
        assert len(compilers()) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([PART], interrupt)
    assert compilers() == []
    assert not list(cache.glob("kernels/*.ready"))


def test_where_nothing_can_be_kept_the_run_compiles_for_itself(cache):
    cache.touch()  # A file where the folder should be.
    prepare([PART], lambda _: pytest.fail("a process was started that can give nothing back"))


def compilers() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "pipeline.preparation" in " ".join(one.cmdline())]
