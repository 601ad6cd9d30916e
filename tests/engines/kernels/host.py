"""Runs the kernels on the CPU: the same source compiled with g++, the same launches, arrays for device memory."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.kernels import ClassMapper, Launch, Letterbox, Tint

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[2] / "engines" / "kernels"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g")


def compile_kernels(folder: Path, *flags: str) -> Path:
    """Build the library. Contraction is off, as in nvcc's -fmad=false."""
    library = folder / "host_kernels.so"
    command = ["g++", "-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
    command += ["-shared", "-fPIC", f"-I{SOURCES}", f"-I{HERE}", *flags, "-o", str(library)]
    subprocess.run([*command, str(HERE / "host_kernels.cpp")], check=True)
    return library


class HostKernels:
    """`engines.kernels.DeviceKernels` without a device: addresses are those of NumPy arrays."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))

    def size_of(self, kernel: str) -> int:
        """Bytes of the kernel's structure, as the compiler lays it out."""
        function = self._library[f"size_of_{kernel}"]
        function.restype = ctypes.c_size_t
        return int(function())

    def run(self, launch: Launch) -> None:
        assert len(launch.parameters) == self.size_of(launch.kernel)
        self._library[f"run_{launch.kernel}"](launch.parameters, *launch.grid, *launch.block[:2])

    def letterbox(self, plan: Letterbox, picture: NDArray[np.uint8], out: NDArray[np.floating]) -> None:
        """Fill one (3, H, W) entry from a picture's bytes."""
        self.run(plan.launch(picture.ctypes.data, plan.tables.ctypes.data, out.ctypes.data))

    def class_map(
        self, plan: ClassMapper, logits: NDArray[np.floating], image_size_hw: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Class map at image size and confidence on the grid."""
        labels, confidence = np.empty(plan.grid_size_hw, np.uint8), np.empty(plan.grid_size_hw, np.float32)
        class_ids = np.empty(image_size_hw, np.uint8)
        addresses = (array.ctypes.data for array in (logits, plan.tables, labels, confidence, class_ids))
        for launch in plan.launches(*addresses):
            self.run(launch)
        return class_ids, confidence

    def tint(self, plan: Tint, image: NDArray[np.uint8], class_ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The tinted picture; the image's rows may be strided."""
        out = np.empty((*class_ids.shape, 3), np.uint8)
        addresses = (array.ctypes.data for array in (image, class_ids, plan.tables, out))
        self.run(plan.launch(*addresses, image_pitch=image.strides[0]))
        return out
