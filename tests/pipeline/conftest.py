"""A disk that is full at once."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TINY_DISK_BYTES = 256 * 1024


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A mounted file system of 256 KiB; a skip that says why where mounting is not allowed."""
    folder = tmp_path / "tiny_disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={TINY_DISK_BYTES}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command to make a tiny disk with")
    if done.returncode != 0:
        pytest.skip(f"cannot mount a tiny disk: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
