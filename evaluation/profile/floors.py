"""What no pipeline can be faster than: its engine alone, its decoder alone, and both on the cores that they share."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from engines.base import Engine, Tensor
from pipeline.scene import Frame

__all__ = ["Floor", "Slice", "measure_decoder", "measure_engine", "shared_floor_ms"]

_FEWEST = 5


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of time in which one part ran alone.

    Attributes:
        began_s: `time.perf_counter()`.
        ended_s: Likewise.
        frame_ms: Wall clock a frame, one entry a call.
        cpu_ms: CPU time of the whole process a frame.
    """

    began_s: float
    ended_s: float
    frame_ms: tuple[float, ...]
    cpu_ms: float

    @property
    def median_ms(self) -> float:
        """Median of `frame_ms`."""
        return statistics.median(self.frame_ms)

    @property
    def mean_ms(self) -> float:
        """Mean of `frame_ms`."""
        return statistics.fmean(self.frame_ms)


@dataclass(slots=True)
class Floor:
    """All slices in which one part ran alone.

    Attributes:
        name: Of the part.
        slices: In the order of time.
    """

    name: str
    slices: list[Slice] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        """Median over every call of every slice."""
        return statistics.median(value for part in self.slices for value in part.frame_ms)

    @property
    def cpu_ms(self) -> float:
        """CPU time a frame: the median slice's."""
        return statistics.median(part.cpu_ms for part in self.slices)


def measure_engine(engines: Sequence[Engine], slice_s: float) -> Slice:
    """Run engines again and again on the same random pictures, each one call after the other, for some time.

    With one engine that is what OpenVINO's ``benchmark_app -api sync`` and TensorRT's ``trtexec`` (with data transfers)
    do; several side by side are what ``benchmark_app -hint throughput`` calls streams. `infer` is synchronous: launch,
    copies and waiting for the device are in every duration, of which each of several engines counts its share.

    Args:
        engines: Open, of the same model; full batches are run.
        slice_s: How long.
    """
    tensor = np.random.default_rng(0).standard_normal(engines[0].spec.input_shape).astype(np.float32)
    with ThreadPoolExecutor(len(engines)) as threads:
        list(threads.map(lambda engine: engine.infer(tensor), engines))  # the caches are another's
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        durations_ms = [
            duration_ms / len(engines)
            for own_ms in threads.map(lambda engine: _run_for(engine, tensor, began_s, slice_s), engines)
            for duration_ms in own_ms
        ]
    ended_s = time.perf_counter()
    cpu_ms = (time.process_time() - began_cpu_s) * 1e3 / (len(durations_ms) * len(tensor))
    return Slice(began_s, ended_s, tuple(durations_ms), cpu_ms)


def _run_for(engine: Engine, tensor: Tensor, began_s: float, slice_s: float) -> list[float]:
    """Milliseconds a picture of every call."""
    durations_ms: list[float] = []
    last_s = time.perf_counter()
    while last_s - began_s < slice_s or len(durations_ms) < _FEWEST:
        engine.infer(tensor)
        now_s = time.perf_counter()
        durations_ms.append((now_s - last_s) * 1e3 / len(tensor))
        last_s = now_s
    return durations_ms


def measure_decoder(frames: Iterator[Frame], slice_s: float) -> Slice:
    """Read a recording and do nothing with its frames, for some time.

    Args:
        frames: Of a recording without end; read on from where the last slice ended.
        slice_s: How long.

    Raises:
        SourceError: It is damaged.
    """
    durations_ms: list[float] = []
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    last_s = began_s
    while last_s - began_s < slice_s or len(durations_ms) < _FEWEST:
        next(frames)
        now_s = time.perf_counter()
        durations_ms.append((now_s - last_s) * 1e3)
        last_s = now_s
    cpu_ms = (time.process_time() - began_cpu_s) * 1e3 / len(durations_ms)
    return Slice(began_s, last_s, tuple(durations_ms), cpu_ms)


def shared_floor_ms(engine: Floor, decode: Floor, cores: int, decodes_per_scene: float = 1.0) -> float:
    """Milliseconds a scene of a pipeline without any work of its own, whose decoding and engine overlap.

    No scene can take less than the longer part alone, nor less than the CPU time of both shared out evenly.

    Args:
        engine: The engine alone.
        decode: The decoder alone.
        cores: What they share.
        decodes_per_scene: A live run decodes every frame of its cameras, and sees as many as the engine can. Several
            cameras have a decoder each, so that only CPU time counts them.
    """
    longest_ms = max(engine.median_ms, decode.median_ms)
    return max(longest_ms, (engine.cpu_ms + decode.cpu_ms * decodes_per_scene) / cores)
