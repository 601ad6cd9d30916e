"""What a kept engine says of itself: the header of its file, and what makes two of them the same.

"clearway-engine/1", newline | length of the header, 4 bytes, little-endian | header, JSON | plan
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import Literal

import msgspec

__all__ = ["EngineKey", "EngineRecord", "UnusableError", "difference", "pack", "unpack"]

_MAGIC = b"clearway-engine/1\n"
_HEADER_LIMIT = 64 * 1024


class EngineKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that decides whether a plan is the right one.

    Attributes:
        model: The model's short name.
        model_sha256: Of the graph and its sidecar.
        precision: What it computes in.
        shape: (N, 3, H, W); N is the largest batch.
        gpu: The GPU's name.
        compute_capability: For instance ``"8.9"``.
        driver: The driver's version, and that of CUDA.
        library: TensorRT's flavour and version, for instance ``"tensorrt 10.3.0"``.
        options: The builder's options.
    """

    model: str
    model_sha256: str
    precision: Literal["fp32", "fp16", "int8"]
    shape: tuple[int, int, int, int]
    gpu: str
    compute_capability: str
    driver: str
    library: str
    options: dict[str, str]

    @property
    def file_stem(self) -> str:
        """The name of its file, without the suffix; for people to read, and unique by its last eight characters."""
        flavour = self.library.partition(" ")[0]
        asked = (self.model, self.precision, self.shape, self.gpu, self.compute_capability, flavour)
        tag = hashlib.sha256(repr(asked).encode()).hexdigest()[:8]
        size = "x".join(str(side) for side in self.shape)
        return f"{_plain(self.model)}-{self.precision}-{size}-{_plain(self.gpu)}-{tag}"

    @property
    def timings_stem(self) -> str:
        """The name of the timing cache that all engines of this GPU and library share."""
        tag = hashlib.sha256(repr((self.gpu, self.compute_capability, self.library)).encode()).hexdigest()[:8]
        return f"{_plain(self.gpu)}-{_plain(self.library)}-{tag}"


class EngineRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The header of a file.

    Attributes:
        key: What it was built for.
        kind: Whether a plan follows, or a timing cache.
        content_bytes: Length of what follows.
        content_sha256: Its SHA-256.
        built_at: Seconds since 1970.
        build_s: How long the build took.
    """

    key: EngineKey
    kind: Literal["plan", "timings"]
    content_bytes: int
    content_sha256: str
    built_at: float
    build_s: float


class UnusableError(Exception):
    """Why a file is not used. The cache catches it, and builds the engine anew."""


def pack(key: EngineKey, kind: Literal["plan", "timings"], content: bytes, build_s: float) -> bytes:
    """What stands before the content in its file."""
    record = EngineRecord(
        key=key,
        kind=kind,
        content_bytes=len(content),
        content_sha256=hashlib.sha256(content).hexdigest(),
        built_at=time.time(),
        build_s=round(build_s, 2),
    )
    header = msgspec.json.encode(record)
    return _MAGIC + len(header).to_bytes(4, "little") + header


def unpack(file: bytes) -> tuple[EngineRecord, bytes]:
    """A file's header and content.

    Raises:
        UnusableError: It is damaged, cut short, or of another version.
    """
    if not file.startswith(_MAGIC):
        raise UnusableError("it is damaged, or not an engine of Clearway's")
    start = len(_MAGIC) + 4
    length = int.from_bytes(file[len(_MAGIC) : start], "little")
    if length > _HEADER_LIMIT or len(file) < start + length:
        raise UnusableError("it is cut short")
    try:
        record = msgspec.json.decode(file[start : start + length], type=EngineRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnusableError("its header is damaged, or of another version") from error
    content = file[start + length :]
    if len(content) != record.content_bytes:
        raise UnusableError("it is cut short" if len(content) < record.content_bytes else "it is longer than it says")
    if hashlib.sha256(content).hexdigest() != record.content_sha256:
        raise UnusableError("it is damaged: its SHA-256 is not the one it was kept with")
    return record, content


_WORDS = {
    "gpu": "it was built on {was}, this is {now}",
    "compute_capability": "it was built for compute capability {was}, this GPU has {now}",
    "library": "it was built by {was}, {now} is installed",
    "driver": "the driver was {was}, it is {now}",
    "model_sha256": "the model has changed",
    "options": "the builder's options have changed",
}


def difference(was: EngineKey, now: EngineKey) -> str:
    """The first thing in which two keys differ, for people; "" where they agree."""
    for field, words in _WORDS.items():
        if getattr(was, field) != getattr(now, field):
            return words.format(was=getattr(was, field), now=getattr(now, field))
    return "" if was == now else "it was built for another model, size or precision"


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("_.") or "unnamed"
