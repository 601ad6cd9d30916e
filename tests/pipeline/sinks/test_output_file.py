"""The file beneath the sinks: what it promises when the disk does not play along."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import SinkError
from pipeline.sinks.output_file import OutputFile


def test_missing_parent_folders_are_created(tmp_path: Path) -> None:
    file = OutputFile(tmp_path / "a" / "b" / "x.bin", "a/b/x.bin")
    file.write(b"hello")
    file.close()
    assert (tmp_path / "a" / "b" / "x.bin").read_bytes() == b"hello"


def test_an_older_file_survives_until_the_first_write(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"the result of yesterday")
    OutputFile(path, "x.bin").close()
    assert path.read_bytes() == b"the result of yesterday"

    file = OutputFile(path, "x.bin")
    file.write(b"new")
    file.close()
    assert path.read_bytes() == b"new"


def test_a_new_file_that_was_never_written_is_not_left_behind(tmp_path: Path) -> None:
    file = OutputFile(tmp_path / "x.bin", "x.bin")
    file.close()
    file.close()
    assert not (tmp_path / "x.bin").exists()


def test_two_outputs_cannot_write_the_same_file(tmp_path: Path) -> None:
    first = OutputFile(tmp_path / "x.bin", "x.bin")
    with pytest.raises(SinkError, match=r"cannot write \./x\.bin: another output is writing the same file"):
        OutputFile(tmp_path / "x.bin", "./x.bin")
    first.close()
    OutputFile(tmp_path / "x.bin", "x.bin").close()


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("folder", "that is a folder"),
        ("file/x.bin", "a part of the path is a file"),
        ("n" * 300, "the name is too long"),
        ("pipe", "not a regular file"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SinkError, match=reason) as raised:
        OutputFile(tmp_path / place, place)
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc, where nobody may create files")
def test_a_place_where_nobody_may_write_is_refused() -> None:
    with pytest.raises(SinkError, match=r"cannot (create|write) /proc/clearway/x\.bin"):
        OutputFile(Path("/proc/clearway/x.bin"), "/proc/clearway/x.bin")


def test_after_a_failed_write_the_file_ends_at_the_last_commit_and_is_sealed(tiny_disk: Path) -> None:
    file = OutputFile(tiny_disk / "x.bin", "x.bin")
    file.write(b"whole")
    file.commit()
    assert file.write(b"torn" * 1_000_000) == 4_000_000
    assert file.failure is not None
    file.seek(0)
    file.write(b"patch")
    file.commit()
    file.close()
    assert (tiny_disk / "x.bin").read_bytes() == b"whole"
