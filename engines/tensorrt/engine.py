"""A model on an NVIDIA GPU: found in the cache or built, then run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property

from engines.artifact import ModelArtifact
from engines.base import DeviceLaps, Precision, Tensor
from engines.checked import CheckedEngine
from engines.cuda.device import Device
from engines.cuda.presence import gpu_error, why_no_gpu
from engines.errors import EngineError
from engines.kernels.device import DeviceKernels
from engines.kernels.picture_path import MODULES, DeviceNetwork, Feed, PicturePath
from engines.tensorrt.build import BuildProgress, build_options, build_plan
from engines.tensorrt.cache import EngineCache
from engines.tensorrt.execution import DEPTH, Execution, PlanRefusedError
from engines.tensorrt.library import Library, load_library
from engines.tensorrt.network import GpuPrecision, model_digest
from engines.tensorrt.record import EngineKey

__all__ = ["TensorRtEngine", "engine_key", "gpu_and_library", "open_execution"]


class TensorRtEngine(CheckedEngine):
    """A model in TensorRT, for batches of 1 to N pictures of one size; see `engines.base.PipelinedEngine`."""

    kind = "tensorrt"
    title = "TensorRT"
    depth = DEPTH

    def __init__(
        self,
        artifact: ModelArtifact,
        size_hw: tuple[int, int],
        batch: int = 1,
        precision: Precision = "auto",
        *,
        on_note: Callable[[str], None] | None = None,
        device: Device | None = None,
        library: Library | None = None,
        cache: EngineCache | None = None,
    ) -> None:
        """Open the engine that was kept, or build one; then run it once, so that the first frame is like the others.

        Args:
            artifact: The model.
            size_hw: (H, W) of the input.
            batch: The largest number of pictures in one call, and the one that the engine is tuned for.
            precision: What the network computes in; "auto" is fp16.
            on_note: Called with one line for people when an engine is built, and why the old one was not used.
            device: The GPU; by default the first one.
            library: TensorRT; by default the one that is installed.
            cache: Where engines are kept; by default the user's.

        Raises:
            ModelError: The model cannot have that input, or its output does not fit its classes.
            EngineError: No GPU, no driver, no TensorRT, an operator that it does not know, not enough memory, or an
                engine folder that others can write to.
        """
        shape = artifact.input_shape(size_hw, batch)
        computed_in = gpu_precision(precision)
        if device is None or library is None:
            device, library = gpu_and_library()
        self._device = device
        self._on_note = on_note or (lambda _: None)
        self._on_laps: Callable[[DeviceLaps], None] | None = None
        cache = EngineCache() if cache is None else cache
        key = engine_key(artifact, shape, computed_in, device, library)
        self._execution = open_execution(artifact, key, device, library, cache, self._on_note)
        try:
            spec = artifact.spec(shape, self._execution.output_shape)
            self._execution.warm_up()
        except BaseException:
            self._execution.close()
            raise
        graph = ", CUDA graph" if self._execution.uses_graph else ""
        super().__init__(spec, f"{library.title}, {device.name}, {computed_in}{graph}", artifact.input_dims[0] or 1)

    def submit(self, tensor: Tensor) -> None:
        """Start on a tensor and return; see `engines.base.PipelinedEngine.submit`."""
        self._check(tensor)
        self._attempt(self._execution.submit, tensor)

    def collect(self) -> Tensor:
        """Wait for the oldest; see `engines.base.PipelinedEngine.collect`."""
        self._check_open()
        return self._attempt(self._execution.collect)

    @property
    def in_flight(self) -> int:
        """How many were submitted and not collected yet."""
        return self._execution.in_flight

    def time_device(self, on_laps: Callable[[DeviceLaps], None] | None) -> None:
        """Tell where the GPU's time goes, in picture paths that are opened from now on too.

        See `engines.base.DeviceTimedEngine.time_device`.
        """
        self._on_laps = on_laps
        self._execution.time_device(on_laps)

    @property
    def device(self) -> Device:
        """The GPU that it runs on."""
        return self._device

    @property
    def network(self) -> DeviceNetwork:
        """The network alone, with its input and output on the GPU."""
        return self._execution

    @cached_property
    def takes_pictures(self) -> bool:
        """Whether the kernels around the network load on this GPU and driver; where they do not, a note says why."""
        try:
            with self._device.active():
                DeviceKernels(self._device).load(*MODULES)
        except EngineError as error:
            self._on_note(f"pictures are prepared on the CPU: {error}")
            return False
        return True

    def picture_path(self, feeds: Sequence[Feed]) -> PicturePath:
        """Pictures up, class maps down, around this engine; see `engines.kernels.PicturePath`. To be closed before it.

        Raises:
            EngineError: Not enough memory, or the kernels cannot be loaded.
        """
        self._check_open()
        return PicturePath(self._device, self._execution, self.spec, feeds, self._on_laps)

    def _run(self, tensor: Tensor) -> Tensor:
        return self._execution.infer(tensor)

    def _free(self) -> None:
        self._execution.close()


def gpu_precision(precision: Precision) -> GpuPrecision:
    """What to build in.

    Raises:
        EngineError: A precision that only processors are given here.
    """
    if precision == "bf16":
        raise EngineError("TensorRT computes in fp16, fp32 or int8 here; bf16 is for processors")
    return "fp16" if precision == "auto" else precision


def gpu_and_library() -> tuple[Device, Library]:
    """The GPU and the TensorRT of this machine: what is plain is said before anything heavy is imported.

    Raises:
        EngineError: One of them is missing or cannot be used; says which and why.
    """
    missing = why_no_gpu()
    if missing:
        raise gpu_error("TensorRT cannot run", missing)
    library = load_library()
    from engines.cuda.pycuda_device import open_device

    return open_device(), library


def engine_key(
    artifact: ModelArtifact,
    shape: tuple[int, int, int, int],
    precision: GpuPrecision,
    device: Device,
    library: Library,
) -> EngineKey:
    """Everything that decides whether an engine that was kept is the right one.

    Raises:
        EngineError: The model's files cannot be read, or there is no INT8 graph.
    """
    major, minor = device.compute_capability
    return EngineKey(
        model=artifact.name,
        model_sha256=model_digest(artifact, precision),
        precision=precision,
        shape=shape,
        gpu=device.name,
        compute_capability=f"{major}.{minor}",
        driver=device.driver,
        library=f"{library.flavour} {library.version}",
        options=build_options(library, precision),
    )


def open_execution(
    artifact: ModelArtifact,
    key: EngineKey,
    device: Device,
    library: Library,
    cache: EngineCache,
    on_note: Callable[[str], None],
    *,
    on_progress: Callable[[BuildProgress], None] | None = None,
) -> Execution:
    """Run the plan that was kept; where there is none, or it is not the right one, or does not load, build it.

    Raises:
        EngineError: It cannot be built or run; or others can write to the cache.
    """
    names = (artifact.input_name, artifact.output_name)
    plan, problem = cache.find(key)
    if plan is not None:
        try:
            return Execution(device, library, plan, key.shape, names)
        except PlanRefusedError as error:
            problem = str(error)
            cache.forget(key)
    if problem:
        on_note(f"the engine that was kept for {artifact.name} is not used: {problem}")
    plan = build_and_keep(artifact, key, device, library, cache, on_note, on_progress=on_progress)
    return Execution(device, library, plan, key.shape, names)


def build_and_keep(
    artifact: ModelArtifact,
    key: EngineKey,
    device: Device,
    library: Library,
    cache: EngineCache,
    on_note: Callable[[str], None],
    *,
    on_progress: Callable[[BuildProgress], None] | None = None,
) -> bytes:
    """Build a plan and keep it. One that cannot be kept for want of room is returned all the same.

    Raises:
        EngineError: It cannot be built; or others can write to the cache.
    """
    on_note(f"building {artifact.name} for {device.name} with {library.title}, {key.precision}: once, some minutes")
    started_s = time.perf_counter()
    with device.active():
        built = build_plan(
            library, artifact, key.shape, key.precision, timings=cache.timings(key), on_progress=on_progress
        )
    build_s = time.perf_counter() - started_s
    try:
        kept = cache.keep(key, built.plan, build_s)
        cache.keep_timings(key, built.timings)
    except EngineError as error:
        on_note(f"built in {build_s:.1f} s, but not kept: {error}")
    else:
        on_note(f"built in {build_s:.1f} s, kept as {kept}")
    return built.plan
