"""The kernels, compiled for this machine's processor."""

from __future__ import annotations

import shutil

import pytest

from tests.engines.kernels.host import HostKernels, compile_kernels


@pytest.fixture(scope="session")
def host_kernels(tmp_path_factory: pytest.TempPathFactory) -> HostKernels:
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile the kernels with")
    return HostKernels(compile_kernels(tmp_path_factory.mktemp("kernels")))
