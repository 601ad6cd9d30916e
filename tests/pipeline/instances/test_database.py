"""The file that road users are known by: private, whole, and refused in one line where it is not ours."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.errors import ConfigError, SinkError
from pipeline.instances import DESCRIPTOR_LENGTH, Instance, InstanceDatabase


def somebody(name: str = "person 1", seed: int = 0, class_name: str = "person") -> Instance:
    vector = np.abs(np.random.default_rng(seed).standard_normal(DESCRIPTOR_LENGTH)).astype(np.float32)
    return Instance(name, class_name, 4, 1e9 + seed, 1e9 + seed, vector / np.linalg.norm(vector))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database that knows two people and a car."""
    file = tmp_path / "known.db"
    with InstanceDatabase(file) as database:
        for number, class_name in enumerate(("person", "person", "car")):
            database.put(somebody(database.new_name(class_name), number, class_name))
    return file


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_was_put_is_there_again_after_closing(path: Path):
    with InstanceDatabase(path) as database:
        assert [one.name for one in database.instances()] == ["person 1", "person 2", "car 1"]
        np.testing.assert_array_equal(database.instances()[1].descriptor, somebody(seed=1).descriptor)
        assert database.new_name("person") == "person 3"


def test_nobody_else_can_read_it_whatever_the_umask(tmp_path: Path, path: Path):
    assert permissions(path) == 0o600
    before = os.umask(0)
    try:
        InstanceDatabase(tmp_path / "other.db").close()
    finally:
        os.umask(before)
    assert permissions(tmp_path / "other.db") == 0o600
    path.chmod(0o644)
    InstanceDatabase(path).close()
    assert permissions(path) == 0o600
    assert {file.name for file in tmp_path.iterdir()} == {"known.db", "other.db"}, "a single file each"


def test_who_is_forgotten_leaves_no_bytes_behind(path: Path):
    vector = somebody(seed=1).descriptor.tobytes()
    assert vector[:64] in path.read_bytes()
    assert main(["instances", str(path), "forget", "person 2"]) == 0
    content = path.read_bytes()
    assert vector[:64] not in content
    assert vector[-64:] not in content
    assert b"person 2" not in content


def test_list_rename_and_forget_from_the_command_line(path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["instances", str(path), "rename", "person 1", "Ada"]) == 0
    assert main(["instances", str(path)]) == 0
    assert "Ada" in capsys.readouterr().out
    assert main(["instances", str(path), "forget", "--all"]) == 0
    assert "3 forgotten, 0 left" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rename", "nobody", "Ada"], "nobody is called 'nobody'"),
        (["rename", "person 1", "car 1"], "the name 'car 1' is taken"),
        (["rename", "person 1"], "give the old name and the new one"),
        (["forget"], "give names, for instance"),
        (["forget", "person 1", "nobody"], "nobody is called 'nobody'"),
        (["list", "Ada"], "takes no names"),
    ],
)
def test_mistakes_are_told_in_a_line_and_change_nothing(
    path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    before = path.read_bytes()
    assert main(["instances", str(path), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert path.read_bytes() == before


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photos (picture BLOB)")
    connection.close()


def newer(path: Path) -> None:
    InstanceDatabase(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def torn(path: Path) -> None:
    with InstanceDatabase(path) as database:
        for number in range(50):
            database.put(somebody(f"person {number}", number))
    path.write_bytes(path.read_bytes()[:20_000])


def short(path: Path) -> None:
    InstanceDatabase(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO instances VALUES ('x', 'person', 1, 0, 0, x'0000')")
    connection.close()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (foreign, "a database of something else"),
        (newer, "written by another version of Clearway (format 99, not 1)"),
        (torn, "damaged"),
        (short, "damaged"),
        (lambda path: path.write_text("notes of mine, which are no database at all\n" * 50), "not a database"),
        (Path.mkdir, "folder"),
    ],
)
def test_what_is_no_database_of_ours_is_refused_and_left_as_it_is(make, said: str, tmp_path: Path):
    file = tmp_path / "some.db"
    make(file)
    if file.is_file():
        file.chmod(0o644)
        before = file.read_bytes()
    with pytest.raises((ConfigError, SinkError)) as caught:
        InstanceDatabase(file)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    if file.is_file() and make in {foreign, newer}:
        assert file.read_bytes() == before
        assert permissions(file) == 0o644


def test_a_second_run_is_told_that_it_is_in_use(path: Path):
    program = f"from pipeline.cli import main; raise SystemExit(main(['instances', {str(path)!r}]))"
    with InstanceDatabase(path):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "another run is using this database" in done.stderr


def test_a_folder_that_is_not_there_is_an_error_of_one_line(tmp_path: Path):
    with pytest.raises(SinkError, match="cannot be opened"):
        InstanceDatabase(tmp_path / "missing" / "known.db")


def test_a_full_disk_is_told_and_what_was_written_before_stays(tiny_disk: Path):
    file = tiny_disk / "known.db"
    database = InstanceDatabase(file)
    database.put(somebody())
    database.flush()
    with pytest.raises(SinkError, match="full"):
        put_many(database)
    with contextlib.suppress(SinkError):  # Writes that still waited fail like those before them.
        database.close()
    with InstanceDatabase(file) as again:
        assert again.find("person 1") is not None


def put_many(database: InstanceDatabase) -> None:
    for number in range(2000):
        database.put(somebody(f"person {number + 2}", number))
    database.flush()
