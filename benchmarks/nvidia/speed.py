"""What is measured on a GPU, given something that tells how long its work takes; and the peers on the same GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.nvidia.figures import Durations, Speed, summarise
from engines.artifact import ModelArtifact
from engines.base import DeviceLaps, ModelSpec
from engines.cuda.device import Device, Stream
from engines.errors import ClearwayError
from engines.factory import open_engine
from engines.kernels import Feed, PicturePath
from engines.kernels.picture_path import DEPTH, DeviceNetwork

__all__ = ["EventTimer", "StreamTimer", "measure_peers", "measure_speed"]

Samples = tuple[NDArray[np.uint8], ...]
_OpenPeer = Callable[[ModelArtifact, tuple[int, int]], Callable[[], object]]

_WARM_UPS = 20
_COPY_BYTES = 256 << 20


class StreamTimer(Protocol):
    """Tells how long a stream takes for a piece of work. The GPU is active."""

    def measure_ms(self, stream: Stream, work: Callable[[Stream], None]) -> float:
        """Queue the work, wait for it, and say how long the GPU worked on it, in milliseconds."""


class EventTimer:
    """With CUDA events: the GPU's own clock, half a microsecond fine."""

    def __init__(self) -> None:
        from pycuda import driver

        self._begin, self._end = driver.Event(), driver.Event()

    def measure_ms(self, stream: Stream, work: Callable[[Stream], None]) -> float:
        """Queue the work between two events."""
        native = stream.native  # type: ignore[attr-defined]  # PyCUDA's events take PyCUDA's streams
        self._begin.record(native)
        work(stream)
        self._end.record(native)
        self._end.synchronize()
        return float(self._begin.time_till(self._end))


def measure_speed(
    title: str,
    device: Device,
    network: DeviceNetwork,
    spec: ModelSpec,
    feed: Feed,
    pictures: Sequence[Samples],
    timer: StreamTimer,
    count: int,
) -> Speed:
    """All figures of one model in one precision but decoding and peers.

    Args:
        title: What is measured, for people.
        device: The GPU.
        network: The network on it, open for one picture.
        spec: Its model.
        feed: How the pictures lie in memory.
        pictures: Some pictures, used in turns.
        timer: Of that GPU.
        count: How many of each to measure.
    """
    with PicturePath(device, network, spec, [feed]) as path:
        for index in range(_WARM_UPS):
            path.classify([pictures[index % len(pictures)]])
        kernels = {name: _timed(device, timer, stage, count) for name, stage in path.stages().items()}
        floors = _measure_floors(device, timer, spec, feed)
        speed = Speed(
            model=title,
            bare_engine=kernels["network"],
            bare_engine_fps=_queued_fps(device, network.enqueue, count),
            letterbox=kernels["letterbox"],
            class_map=kernels["class map"],
            latency=summarise([_wall_ms(lambda i=i: path.classify([_turn(pictures, i)])) for i in range(count)]),  # type: ignore[misc]
            without_decode_fps=_overlapped_fps(path, pictures, count),
            letterbox_floor_ms=floors.letterbox_ms,
            class_map_floor_ms=floors.class_map_ms,
            memory_gb_s=floors.memory_gb_s,
        )
    # After the other path is closed: with events being set, nothing but the events is measured.
    return _with_device_laps(speed, device, network, spec, feed, pictures, count)


def _with_device_laps(
    speed: Speed,
    device: Device,
    network: DeviceNetwork,
    spec: ModelSpec,
    feed: Feed,
    pictures: Sequence[Samples],
    count: int,
) -> Speed:
    """The GPU's time on each part of a picture, and whether its parts fit into the whole."""
    found: list[DeviceLaps] = []
    with PicturePath(device, network, spec, [feed], found.append) as path:
        for index in range(_WARM_UPS):
            path.classify([_turn(pictures, index)])
        found.clear()
        waited_ms = [_wall_ms(lambda i=i: path.classify([_turn(pictures, i)])) for i in range(count)]  # type: ignore[misc]
        alone = list(found)
        _overlapped_fps(path, pictures, count)
    by_stage = zip(*(laps.laps for laps in alone), strict=True)
    return msgspec.structs.replace(
        speed,
        device_laps={laps[0].stage: summarise([lap.duration_ms for lap in laps]) for laps in by_stage},
        device_total=summarise([laps.total_ms for laps in alone]),
        laps_over_total=max(sum(lap.duration_ms for lap in laps.laps) / laps.total_ms for laps in found),
        timed_latency=summarise(waited_ms),
    )


def _timed(device: Device, timer: StreamTimer, work: Callable[[Stream], None], count: int) -> Durations:
    with device.active():
        stream = device.stream()
        for _ in range(_WARM_UPS):
            timer.measure_ms(stream, work)
        return summarise([timer.measure_ms(stream, work) for _ in range(count)])


def _queued_fps(device: Device, work: Callable[[Stream], None], count: int) -> float:
    """One run behind the other: the processor stays ahead, the GPU never waits for it."""
    with device.active():
        stream = device.stream()

        def queue_all() -> None:
            for _ in range(count):
                work(stream)
            stream.synchronize()

        queue_all()
        return count / _wall_ms(queue_all) * 1e3


def _overlapped_fps(path: PicturePath, pictures: Sequence[Samples], count: int) -> float:
    def run() -> None:
        for index in range(count):
            if path.in_flight == DEPTH:
                path.collect()
            path.submit([_turn(pictures, index)])
        while path.in_flight:
            path.collect()

    run()
    return count / _wall_ms(run) * 1e3


class _Floors(NamedTuple):
    letterbox_ms: float
    class_map_ms: float
    memory_gb_s: float


def _measure_floors(device: Device, timer: StreamTimer, spec: ModelSpec, feed: Feed) -> _Floors:
    """How long moving each byte once would take, by the speed of a copy within the GPU's memory."""
    with device.active():
        source, target, stream = device.allocate(_COPY_BYTES), device.allocate(_COPY_BYTES), device.stream()
        times_ms = [
            timer.measure_ms(stream, lambda s: device.copy(target.address, source.address, _COPY_BYTES, s))
            for _ in range(10)
        ]
        source.free()
        target.free()
    bytes_per_ms = 2 * _COPY_BYTES / min(times_ms)
    # Smaller than the copy: what fits the cache may go below its floor.
    tensor, logits = (4 * int(np.prod(shape[1:])) for shape in (spec.input_shape, spec.output_shape))
    confidence, class_ids = 4 * int(np.prod(feed.grid_hw)), int(np.prod(feed.picture.size_hw))
    return _Floors(
        (feed.picture.nbytes + tensor) / bytes_per_ms,
        (logits + confidence + class_ids) / bytes_per_ms,
        bytes_per_ms / 1e6,
    )


def measure_peers(
    artifact: ModelArtifact, size_hw: tuple[int, int], count: int
) -> tuple[dict[str, Durations], list[str]]:
    """The same network in other hands, one picture at a time, wall clock; and a line for each that did not run."""
    found: dict[str, Durations] = {}
    notes = []
    for title, open_peer in _PEERS.items():
        measured = _measure_peer(open_peer, artifact, size_hw, count)
        if isinstance(measured, Durations):
            found[title] = measured
        else:
            notes.append(f"{title}: did not run: {measured}")
    return found, notes


def _measure_peer(
    open_peer: _OpenPeer,
    artifact: ModelArtifact,
    size_hw: tuple[int, int],
    count: int,
) -> Durations | str:
    try:
        run = open_peer(artifact, size_hw)
        for _ in range(_WARM_UPS):
            run()
        return summarise([_wall_ms(run) for _ in range(count)])
    except ClearwayError as error:
        return str(error)
    except Exception as error:  # a peer's own failure is no failure of ours
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _onnxruntime(artifact: ModelArtifact, size_hw: tuple[int, int]) -> Callable[[], object]:
    engine = open_engine(artifact, "onnxruntime-cuda", size_hw=size_hw)
    tensor = np.zeros(engine.spec.input_shape, np.float32)
    return lambda: engine.infer(tensor)


def _torch_run(artifact: ModelArtifact, size_hw: tuple[int, int], *, compiled: bool) -> Callable[[], object]:
    """The shipped architecture; its weights do not matter for speed."""
    import torch

    from training.networks import build_network

    if not torch.cuda.is_available():
        raise ClearwayError("this torch has no CUDA, or sees no GPU")
    if artifact.name != "clearway-lite":
        raise ClearwayError(f"{artifact.name} is not a network of training/networks")
    network = build_network("lite", len(artifact.classes)).eval().half().cuda()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.zeros(1, 3, *size_hw, dtype=torch.half, device="cuda").to(memory_format=torch.channels_last)
    run = torch.compile(network, mode="reduce-overhead") if compiled else network

    def infer() -> None:
        with torch.inference_mode():
            run(image)
        torch.cuda.synchronize()

    return infer


_PEERS: dict[str, _OpenPeer] = {
    "ONNX Runtime CUDA fp32, copies included": _onnxruntime,
    "torch eager fp16 channels_last, no copies": partial(_torch_run, compiled=False),
    "torch.compile fp16 channels_last, no copies": partial(_torch_run, compiled=True),
}


def _wall_ms(work: Callable[[], object]) -> float:
    """Wall clock of work that waits for its own end."""
    started_s = time.perf_counter()
    work()
    return (time.perf_counter() - started_s) * 1e3


def _turn(pictures: Sequence[Samples], index: int) -> Samples:
    return pictures[index % len(pictures)]
