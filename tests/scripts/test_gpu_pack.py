"""Parts, checksums, and an unpack that refuses what is missing or damaged, by name; on small real files."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PART_BYTES = 40_000


def gpu_pack(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / "scripts" / "gpu_pack"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def gpu_pack_module() -> ModuleType:
    """The script as a module; it has no suffix by which to import it."""
    loader = SourceFileLoader("gpu_pack", str(PROJECT / "scripts" / "gpu_pack"))
    spec = importlib.util.spec_from_loader("gpu_pack", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def pack(folder: Path, out: Path) -> None:
    done = gpu_pack("pack", folder, "--out", out, "--part-mib", PART_BYTES / 2**20)
    assert done.returncode == 0, done.stderr


def unpack(out: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """The carried script, where nothing of the project is at hand: an isolated Python without site-packages."""
    command = [sys.executable, "-I", "-S", str(out / "unpack"), str(target)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=out.parent)


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """A folder as the real ones are: large files that do not compress, small ones, a link, a program."""
    folder = tmp_path / "wheels"
    (folder / "bin").mkdir(parents=True)
    (folder / "a.whl").write_bytes(random.Random(1).randbytes(150_000))
    (folder / "kernels.ptx").write_bytes((PROJECT / "engines" / "kernels" / "built" / "letterbox.ptx").read_bytes())
    (folder / "empty").touch()
    (folder / "bin" / "python3").symlink_to("python3.10")
    (folder / "bin" / "python3.10").write_text("#!/bin/sh\n")
    (folder / "bin" / "python3.10").chmod(0o755)
    return folder


@pytest.fixture
def packed(content: Path, tmp_path: Path) -> Path:
    out = tmp_path / "packed"
    pack(content, out)
    return out


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_was_packed_comes_out(content: Path, packed: Path, tmp_path: Path):
    parts = sorted(packed.glob("wheels.tar.gz.*"))
    assert len(parts) > 3
    assert {path.stat().st_size for path in parts[:-1]} == {PART_BYTES}
    assert parts[-1].stat().st_size <= PART_BYTES
    done = unpack(packed, tmp_path / "target")
    assert done.returncode == 0, done.stderr
    assert f"{len(parts)} parts, as packed" in done.stdout
    assert files_of(tmp_path / "target" / "wheels") == files_of(content)
    assert (tmp_path / "target" / "wheels" / "bin" / "python3").is_symlink()
    assert (tmp_path / "target" / "wheels" / "bin" / "python3.10").stat().st_mode & 0o100
    assert not list((tmp_path / "target").glob(".*"))


def test_missing_damaged_and_short_parts_are_refused_by_name(packed: Path, tmp_path: Path):
    (packed / "wheels.tar.gz.000").unlink()
    damaged = bytearray((packed / "wheels.tar.gz.001").read_bytes())
    damaged[1234] ^= 1
    (packed / "wheels.tar.gz.001").write_bytes(damaged)
    (packed / "wheels.tar.gz.002").write_bytes((packed / "wheels.tar.gz.002").read_bytes()[:-1])
    done = unpack(packed, tmp_path / "target")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "unpack: error: part wheels.tar.gz.000 is missing",
        done.stderr.splitlines()[1],
        f"unpack: error: part wheels.tar.gz.002 has {PART_BYTES - 1} bytes instead of {PART_BYTES}",
    ]
    assert done.stderr.splitlines()[1].startswith("unpack: error: part wheels.tar.gz.001 is damaged")
    assert not (tmp_path / "target").exists()


def test_two_parts_that_changed_places_are_damaged(packed: Path, tmp_path: Path):
    first, second = packed / "wheels.tar.gz.000", packed / "wheels.tar.gz.001"
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    done = unpack(packed, tmp_path / "target")
    assert done.returncode == 2
    assert done.stderr.count("is damaged") == 2


def test_nothing_is_overwritten(packed: Path, tmp_path: Path):
    (tmp_path / "target" / "wheels").mkdir(parents=True)
    done = unpack(packed, tmp_path / "target")
    assert done.returncode == 2
    assert "is there already" in done.stderr


@pytest.mark.parametrize("text", [None, "{", '{"format": "another/1"}', "[]"])
def test_a_manifest_that_is_none_is_refused(packed: Path, tmp_path: Path, text: str | None):
    if text is None:
        (packed / "manifest.json").unlink()
    else:
        (packed / "manifest.json").write_text(text)
    done = unpack(packed, tmp_path / "target")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "manifest.json" in done.stderr


def test_bundles_are_added_and_replaced(content: Path, packed: Path, tmp_path: Path):
    other = tmp_path / "rtx"
    other.mkdir()
    (other / "b.whl").write_bytes(b"b")
    pack(other, packed)
    (content / "a.whl").write_bytes(b"smaller")
    pack(content, packed)
    manifest = json.loads((packed / "manifest.json").read_text())
    assert [bundle["name"] for bundle in manifest["bundles"]] == ["rtx", "wheels"]
    listed = {part["name"] for bundle in manifest["bundles"] for part in bundle["parts"]}
    assert listed == {path.name for path in packed.glob("*.tar*")}
    assert unpack(packed, tmp_path / "target").returncode == 0
    assert (tmp_path / "target" / "wheels" / "a.whl").read_bytes() == b"smaller"


@pytest.mark.parametrize(
    ("name", "link"), [("../evil", ""), ("/tmp/evil", ""), ("inside", "../../evil"), ("inside", "/etc/passwd")]
)
def test_an_archive_that_reaches_outside_is_refused(packed: Path, tmp_path: Path, name: str, link: str):
    """Checksums say that parts are those of the manifest, not that the manifest is a friend's."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tree:
        member = tarfile.TarInfo(name)
        if link:
            member.type, member.linkname = tarfile.SYMTYPE, link
        tree.addfile(member, None)
    evil = tmp_path / "evil_content"
    evil.mkdir()
    (evil / "x").touch()
    pack(evil, packed)
    part = packed / "evil_content.tar.gz.000"
    part.write_bytes(archive.getvalue())
    manifest = json.loads((packed / "manifest.json").read_text())
    manifest["bundles"] = [bundle for bundle in manifest["bundles"] if bundle["name"] == "evil_content"]
    manifest["bundles"][0]["parts"][0] |= {
        "size": part.stat().st_size,
        "sha256": hashlib.sha256(part.read_bytes()).hexdigest(),
    }
    (packed / "manifest.json").write_text(json.dumps(manifest))
    done = unpack(packed, tmp_path / "target")
    assert done.returncode == 2
    assert "would land outside" in done.stderr
    assert not list((tmp_path / "target").iterdir())


def test_a_wheel_without_compression_is_the_same_wheel(tmp_path: Path):
    script = gpu_pack_module()
    wheel = tmp_path / "it-1.0-py3-none-any.whl"
    content = {"it/__init__.py": b"x = 1\n" * 5000, "it/lib.so": random.Random(2).randbytes(50_000)}
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    small = wheel.stat().st_size
    script.store_uncompressed(wheel)
    assert wheel.stat().st_size > small
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == content


def test_placeholders_satisfy_the_loader_and_nothing_else(tmp_path: Path):
    """A library linked to a function of cuBLAS loads beside the placeholder, and ends the process when it calls it."""
    if shutil.which("gcc") is None or shutil.which("nm") is None:
        pytest.skip("no gcc and nm to make libraries with")
    script = gpu_pack_module()
    real, placeholders = tmp_path / "real", tmp_path / "placeholders"
    real.mkdir()
    placeholders.mkdir()
    script.compile_library(
        "int cublasIt(void) { return 7; }", real / "libcublas.so.12", "libcublas.so.12", "libcublas.so.12"
    )
    plugins = tmp_path / "libnvinfer_plugin.so.8"
    source = tmp_path / "plugins.c"
    source.write_text("int cublasIt(void); int call(void) { return cublasIt(); } int (*kept)(void) = cublasIt;")
    subprocess.run(["gcc", "-shared", "-fPIC", source, real / "libcublas.so.12", "-o", plugins], check=True)
    wheel = tmp_path / "tensorrt.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(plugins, "tensorrt/libnvinfer_plugin.so.8")
    script.build_placeholders(wheel, placeholders)
    assert sorted(path.name for path in placeholders.iterdir()) == [
        "libcublas.so.12",
        "libcublasLt.so.12",
        "libcudnn.so.8",
    ]

    def load(folder: Path, what: str) -> int:
        code = f"import ctypes; library = ctypes.CDLL({str(plugins)!r}); {what}"
        return subprocess.run(
            [sys.executable, "-c", code], env={"LD_LIBRARY_PATH": str(folder)}, capture_output=True, check=False
        ).returncode

    assert load(real, "raise SystemExit(library.call())") == 7
    assert load(tmp_path, "") == 1
    assert load(placeholders, "") == 0
    assert load(placeholders, "library.call()") == -signal.SIGABRT


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pack", "/no/such/folder"), "no folder with anything in it"),
        (("pack", "engines", "--part-mib", "0"), "at least one byte"),
        (("prepare", "--python", "python9.9", "--only", "tensorrt-rtx"), "no python9.9 here"),
        (("prepare", "--tensorrt8-python", sys.executable, "--only", "tensorrt-8.6.0"), "wants 3.10"),
    ],
)
def test_what_cannot_be_packed_is_said_in_one_line(tmp_path: Path, arguments: tuple[str, ...], said: str):
    if "wants 3.10" in said and sys.version_info[:2] == (3, 10):
        pytest.skip("this is the Python that TensorRT 8.6.0 wants")
    done = gpu_pack(*arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_extras_that_consist_of_others_are_taken_apart():
    wanted = gpu_pack_module().requirements()
    names = {entry.split(">")[0].split("=")[0].split(";")[0].strip() for entry in wanted}
    assert not any(name.startswith("clearway") for name in names)
    assert {"numpy", "pytest", "starlette", "jinja2", "onnx"} <= names
    assert not {"torch", "openvino", "pycuda", "tensorrt"} & names
