"""From a plan to logits: buffers, streams, a CUDA graph, two pictures in flight.

    upload    | n+1 ▸ ▸ |         |         one stream each; events keep them in step:
    compute   |    n  ▸ ▸ ▸ ▸ |   |         a slot's upload, its computing, its download
    download  | n−1 ▸   |         |

TensorRT computes in one pair of buffers whose addresses never change, because a CUDA graph remembers addresses. Each
slot has buffers of its own on both sides of that pair; the copies between them stay on the GPU and cost microseconds.
Input and output of the host are page-locked, or the GPU's copies would not run beside anything.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from engines.base import DeviceLaps, Tensor
from engines.cuda.clock import DeviceClock
from engines.cuda.device import CapturedGraph, Device, Event, Memory, Stream
from engines.errors import EngineError
from engines.tensorrt.library import Library

if TYPE_CHECKING:
    import tensorrt as trt

__all__ = ["DEPTH", "Execution", "PlanRefusedError"]

_Fill = Literal["full", "some"]
"""Whether a context is for a full batch, or for fewer pictures."""

DEPTH = 2
"""Pictures (or batches) in flight: one computes while the next goes up or the one before comes down."""


class PlanRefusedError(EngineError):
    """TensorRT does not load a plan, or it is not the one that was asked for: a fresh one may do better."""


@dataclass(eq=False)  # told apart by identity: arrays have no single truth
class _Slot:
    """One picture or batch on its way: where it lies, and how far it is."""

    host_in: NDArray[np.float32]
    host_out: NDArray[np.float32]
    device_in: Memory
    device_out: Memory
    uploaded: Event
    computed: Event
    downloaded: Event
    clock: DeviceClock
    pictures: int = 0


class Execution:
    """A plan on a GPU. Called by one thread at a time; every call makes the GPU's context current for its own length.

    Args:
        device: The GPU.
        library: The TensorRT that built the plan.
        plan: The plan; whoever calls has checked where it comes from.
        shape: (N, 3, H, W) with the largest batch.
        names: Of the graph's input and output.

    Raises:
        EngineError: TensorRT does not load the plan, or there is not enough memory. All that was taken is given back.
    """

    def __init__(
        self,
        device: Device,
        library: Library,
        plan: bytes,
        shape: tuple[int, int, int, int],
        names: tuple[str, str],
    ) -> None:
        self._device = device
        self._library = library
        self._shape = shape
        self._input_name, self._output_name = names
        self._in_flight: deque[_Slot] = deque()
        self._lent: _Slot | None = None
        self._graph: CapturedGraph | None = None
        # Never in a local variable: the traceback of an error would keep them alive past `close`.
        self._contexts: dict[_Fill, trt.IExecutionContext] = {}
        self._memory: list[Memory] = []
        self._slots: list[_Slot] = []
        self._on_laps: Callable[[DeviceLaps], None] | None = None
        self._closed = False
        self.uses_graph = False
        with ExitStack() as undo:
            undo.callback(self.close)
            with device.active():
                self._open(plan)
            undo.pop_all()

    def _open(self, plan: bytes) -> None:
        library = self._library
        library.log.clear()
        self._logger = library.logger()
        try:
            self._runtime: trt.Runtime | None = library.module.Runtime(self._logger)
            self._engine: trt.ICudaEngine | None = self._runtime.deserialize_cuda_engine(plan)
        except (TypeError, RuntimeError) as error:
            raise PlanRefusedError(f"{library.title} cannot load its engine: {library.complaint()}") from error
        if self._engine is None:
            raise PlanRefusedError(f"{library.title} cannot load its engine: {library.complaint()}")
        self._check_tensors()
        self._make_context("full", self._shape)
        dims = tuple(int(side) for side in self._contexts["full"].get_tensor_shape(self._output_name))
        if len(dims) != 4 or min(dims) < 1:
            raise EngineError(f"{library.title}: the engine's output is {dims}, not (N, K, h, w)")
        self.output_shape: tuple[int, int, int, int] = (dims[0], dims[1], dims[2], dims[3])
        self._input = self._allocate(self._shape)
        self._output = self._allocate(self.output_shape)
        self._bind("full")
        self._upload, self._compute, self._download = (self._device.stream() for _ in range(3))
        # One more than is in flight: the one whose logits the caller looks at.
        self._slots.extend(self._new_slot() for _ in range(DEPTH + 1))

    def _check_tensors(self) -> None:
        module = self._library.module
        assert self._engine is not None
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        if sorted(names) != sorted((self._input_name, self._output_name)):
            raise PlanRefusedError(f"{self._library.title}: the engine has the tensors {names}, not those of the model")
        for name in names:
            if self._engine.get_tensor_dtype(name) != module.DataType.FLOAT:
                raise PlanRefusedError(f"{self._library.title}: tensor {name!r} of the engine is not float32")

    def _make_context(self, fill: _Fill, shape: tuple[int, ...]) -> None:
        assert self._engine is not None
        if self._library.flavour == "tensorrt_rtx":
            # By default it runs on general kernels until the ones for these shapes are compiled: a CUDA graph that is
            # captured meanwhile would keep the slow ones for good.
            config = self._engine.create_runtime_config()
            eager = self._library.module.DynamicShapesKernelSpecializationStrategy.EAGER
            config.dynamic_shapes_kernel_specialization_strategy = eager
            context = self._engine.create_execution_context(config)
        else:
            context = self._engine.create_execution_context()
        if context is None:  # TensorRT takes the memory for the layers in between here
            raise EngineError(f"not enough memory on {self._device.name} to run: {self._library.complaint()}")
        self._contexts[fill] = context
        del context
        self._reshape(fill, shape)

    def _reshape(self, fill: _Fill, shape: tuple[int, ...]) -> None:
        if not self._contexts[fill].set_input_shape(self._input_name, shape):
            raise EngineError(f"{self._library.title} refuses an input of {shape}: {self._library.complaint()}")

    def _bind(self, fill: _Fill) -> None:
        for name, memory in ((self._input_name, self._input), (self._output_name, self._output)):
            if not self._contexts[fill].set_tensor_address(name, memory.address):
                raise EngineError(f"{self._library.title} refuses the buffer of {name!r}: {self._library.complaint()}")

    def _allocate(self, shape: tuple[int, ...]) -> Memory:
        memory = self._device.allocate(4 * math.prod(shape))
        self._memory.append(memory)
        return memory

    def _new_slot(self) -> _Slot:
        device = self._device
        return _Slot(
            host_in=device.page_locked(self._shape, np.float32),
            host_out=device.page_locked(self.output_shape, np.float32),
            device_in=self._allocate(self._shape),
            device_out=self._allocate(self.output_shape),
            uploaded=device.event(),
            computed=device.event(),
            downloaded=device.event(),
            clock=DeviceClock(device),
        )

    @property
    def in_flight(self) -> int:
        """How many were submitted and not collected yet."""
        return len(self._in_flight)

    def warm_up(self) -> None:
        """Run once, since TensorRT puts some work off until then; then capture a CUDA graph, where that is possible.

        Raises:
            EngineError: The GPU or TensorRT failed.
        """
        self._slots[0].host_in[:] = 0
        self.infer(self._slots[0].host_in)
        with self._device.active():
            try:
                self._graph = self._device.capture(self._compute, lambda: self._execute("full", self._compute))
                self.uses_graph = True
            except EngineError:  # slower by the processor's work for each kernel, and right all the same
                self._library.log.clear()
        self.infer(self._slots[0].host_in)

    def infer(self, tensor: Tensor) -> Tensor:
        """Run up to N pictures and wait for their logits: a view that is valid until the next call."""
        if self._in_flight:
            raise EngineError("pictures that were submitted must be collected before infer is called")
        self._lent = None
        self.submit(tensor)
        return self.collect()

    def submit(self, tensor: Tensor) -> None:
        """Start on up to N pictures (n, 3, H, W), and return. They are copied first; the caller may overwrite them.

        Raises:
            EngineError: `DEPTH` are in flight already, or the GPU failed.
        """
        if len(self._in_flight) == DEPTH:
            raise EngineError(f"{DEPTH} are in flight already: collect one first")
        slot = next(each for each in self._slots if each is not self._lent and each not in self._in_flight)
        slot.pictures = len(tensor)
        # The copy from ordinary memory: page-locked memory is scarce, and the stages before us do not know of GPUs.
        slot.host_in[: len(tensor)] = tensor
        with self._device.active():
            self._enqueue(slot)
        self._in_flight.append(slot)

    def _enqueue(self, slot: _Slot) -> None:
        device, clock = self._device, slot.clock
        sent, received = slot.host_in[: slot.pictures], slot.host_out[: slot.pictures]
        clock.restart(on=self._on_laps is not None)
        with clock.lap("upload", self._upload):
            device.upload(slot.device_in.address, sent, self._upload)
        slot.uploaded.record(self._upload)

        self._compute.wait(slot.uploaded)
        with clock.lap("inference", self._compute):
            device.copy(self._input.address, slot.device_in.address, sent.nbytes, self._compute)
            self._run(slot.pictures, self._compute)
            device.copy(slot.device_out.address, self._output.address, received.nbytes, self._compute)
        slot.computed.record(self._compute)

        self._download.wait(slot.computed)
        with clock.lap("download", self._download):
            device.download(received, slot.device_out.address, self._download)
        slot.downloaded.record(self._download)

    def time_device(self, on_laps: Callable[[DeviceLaps], None] | None) -> None:
        """Tell where the GPU's time goes; see `engines.base.DeviceTimedEngine.time_device`."""
        self._on_laps = on_laps

    @property
    def input_address(self) -> int:
        """Where the input (N, 3, H, W) float32 lies on the GPU, for kernels that fill it there."""
        return self._input.address

    @property
    def output_address(self) -> int:
        """Where the logits (N, K, h, w) float32 lie on the GPU."""
        return self._output.address

    def enqueue(self, stream: Stream) -> None:
        """Give a stream one run of all N pictures that lie in the input; the GPU is active, nothing else in flight."""
        self._run(self._shape[0], stream)

    def _run(self, pictures: int, stream: Stream) -> None:
        if pictures < self._shape[0]:
            self._run_some(pictures, stream)
        elif self._graph is not None:
            self._graph.launch(stream)
        else:
            self._execute("full", stream)

    def _run_some(self, pictures: int, stream: Stream) -> None:
        """In a context of its own: changing the full one's shape would spoil the graph that was captured from it."""
        shape = (pictures, *self._shape[1:])
        if "some" in self._contexts:
            self._reshape("some", shape)
        else:
            self._make_context("some", shape)
            self._bind("some")
        self._execute("some", stream)

    def _execute(self, fill: _Fill, stream: Stream) -> None:
        if not self._contexts[fill].execute_async_v3(stream.handle):
            raise EngineError(f"{self._library.title} failed: {self._library.complaint()}")

    def collect(self) -> Tensor:
        """Wait for the oldest that was submitted.

        Returns:
            float32 logits (n, K, h, w): a view that is valid until the next call of `collect` or `infer`.

        Raises:
            EngineError: Nothing is in flight, or the GPU failed.
        """
        if not self._in_flight:
            raise EngineError("nothing was submitted that could be collected")
        slot = self._in_flight.popleft()
        with self._device.active():
            slot.downloaded.synchronize()
            laps = slot.clock.read(slot.pictures)
        self._lent = slot
        if laps is not None and self._on_laps is not None:
            self._on_laps(laps)
        return slot.host_out[: slot.pictures]

    def close(self) -> None:
        """Give everything back, also on a GPU that failed. May be called more than once.

        The arrays of the host are let go, not freed: whoever still holds a view of the last logits may read it.
        """
        if self._closed:
            return
        self._closed = True
        try:
            with self._device.active():
                self._wait_for_all()
                self._give_back()
        except Exception:  # the context is gone, and all that was in it
            self._let_go()

    def _wait_for_all(self) -> None:
        for name in ("_upload", "_compute", "_download"):
            stream: Stream | None = getattr(self, name, None)
            if stream is not None:
                _try(stream.synchronize)

    def _give_back(self) -> None:
        graph, self._graph = self._graph, None
        if graph is not None:
            _try(graph.close)
        memory = self._memory
        self._let_go()
        while memory:
            _try(memory.pop().free)

    def _let_go(self) -> None:
        """TensorRT's own objects, in the order in which they need each other; then streams and host memory."""
        self._graph = None
        self._in_flight.clear()
        self._lent = None
        self._contexts.clear()
        for name in ("_engine", "_runtime", "_logger", "_upload", "_compute", "_download"):
            if hasattr(self, name):
                delattr(self, name)
        self._slots.clear()
        self.__dict__.pop("_memory", None)


def _try(action: Any) -> None:
    """Call it; a GPU that failed says so again at every call, and the first time has been told already."""
    with suppress(Exception):
        action()
