"""The power goes: what the disk itself holds at that moment, and nothing that was only in memory, is played."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.pipeline.recording.streams import make_stream, numbers, recorded, recording, times

SENT_S = 3.6


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """A disk in a file."""
    folder.mkdir()
    done = subprocess.run(["mount", "-o", "loop", str(image), str(folder)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a disk of its own: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An ext4 file system in a file: what is written to the file is what reached the disk."""
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(48 * 2**20)
    try:
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot make a disk of its own: {error}")
    return image


def test_a_loss_of_power_costs_about_a_second(tmp_path: Path, disk: Path) -> None:
    """The image of a mounted disk is copied in the middle of a recording; its journal then puts it right."""
    stream = make_stream("h264", round(SENT_S * 25), noise=12)
    snapshot = tmp_path / "after the crash.img"
    with ExitStack() as stack:
        folder = stack.enter_context(mounted(disk, tmp_path / "disk"))
        recorder = stack.enter_context(recording(folder / "rides"))
        front = recorder.for_camera("front")
        front.begin(stream.parameters)
        began_s = time.monotonic()
        for packet in stream.packets:
            time.sleep(max(0.0, began_s + packet.time_s - time.monotonic()))
            front.packet(packet)
        shutil.copyfile(disk, snapshot)
        late_s = time.monotonic() - began_s - SENT_S
    with mounted(snapshot, tmp_path / "found") as folder:
        frames = recorded(folder / "rides")
        found, found_s = numbers(frames), times(frames)
    assert found == list(range(len(found)))
    # A second between two times on the disk, and what a busy machine adds to it.
    assert found_s[-1] > SENT_S - 1.0 - 0.3 - max(0.0, late_s)
