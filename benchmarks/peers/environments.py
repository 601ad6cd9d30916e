"""A virtual environment for each peer, made once from the package index and kept in `.venvs/`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["ENVIRONMENTS", "environment"]

_FOLDER = Path(__file__).resolve().parents[2] / ".venvs"
_FEWEST_FREE_BYTES = 12_000_000_000
"""torchvision's wheels need torch's CUDA build, on a machine without a GPU as well: 6 to 7 GB, and some in passing."""

ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "plain": ("onnxruntime==1.32.0", "opencv-python-headless==5.0.0.93"),
    "openvino": ("openvino==2026.4.1", "opencv-python-headless==5.0.0.93"),
    "ultralytics": (
        "torch==2.14.1",
        "torchvision==0.29.1",
        "onnx==1.23.2",
        "openvino==2026.4.1",
        "ultralytics==8.4.190",
    ),
    "inference": ("inference==1.8.3",),
}
"""Name → what is installed. What runs networks is of the versions that Clearway uses itself, except that `inference`
asks for an older ONNX Runtime.
"""
_LARGE = ("ultralytics", "inference")


def environment(name: str, on_note: Callable[[str], None]) -> Path:
    """The interpreter of a peer's environment; made first where it is not there, or holds something else.

    Args:
        name: One of `ENVIRONMENTS`; "" is the environment that this runs in.
        on_note: Called with one line before something is installed.

    Raises:
        SystemExit: It cannot be installed, or the disk has no room for it.
    """
    if not name:
        return Path(sys.executable)
    folder = _FOLDER / f"peer-{name}"
    wanted = "\n".join(ENVIRONMENTS[name])
    stamp, python = folder / "installed.txt", folder / "bin" / "python"
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    _FOLDER.mkdir(exist_ok=True)
    free = shutil.disk_usage(_FOLDER).free
    if name in _LARGE and free < _FEWEST_FREE_BYTES:
        raise SystemExit(f"{folder}: {free / 1e9:.0f} GB are free, {_FEWEST_FREE_BYTES / 1e9:.0f} are needed")
    on_note(f"installing {', '.join(ENVIRONMENTS[name])} into {folder}")
    try:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *ENVIRONMENTS[name]], check=True)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{folder}: could not be installed ({error}); leave the peer out with --only") from error
    stamp.write_text(wanted)
    return python
