"""From the graph to a *plan*: what TensorRT found fastest on this GPU, as bytes that it can load again.

Building takes from half a second (TensorRT-RTX, which compiles later) to some minutes. It says how far it is, and can
be broken off: TensorRT from 10 on asks after every step whether to go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engines.artifact import ModelArtifact
from engines.checked import reason
from engines.errors import EngineError
from engines.tensorrt.library import Library
from engines.tensorrt.network import GpuPrecision, graph_bytes

if TYPE_CHECKING:
    import tensorrt as trt

__all__ = ["BuildProgress", "BuiltPlan", "build_options", "build_plan"]


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far a build is.

    Attributes:
        phase: What TensorRT does, in its own words, for instance ``"Timing graph nodes"``.
        step: Steps of that phase that are done.
        steps: All of its steps.
    """

    phase: str
    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """What a build gives.

    Attributes:
        plan: The serialised engine.
        timings: The timing cache, for the next build to be quicker; empty where the library keeps none.
    """

    plan: bytes
    timings: bytes


def build_options(library: Library, precision: GpuPrecision) -> dict[str, str]:
    """The choices of ours that shape a plan; another choice is another engine."""
    options = {"builder": "clearway-2", "tf32": "off" if precision == "fp32" else "on"}
    if not library.strongly_typed:
        options["flags"] = {"fp32": "", "fp16": "FP16", "int8": "FP16 INT8"}[precision]
    return options


def build_plan(
    library: Library,
    artifact: ModelArtifact,
    shape: tuple[int, int, int, int],
    precision: GpuPrecision,
    *,
    timings: bytes = b"",
    on_progress: Callable[[BuildProgress], None] | None = None,
) -> BuiltPlan:
    """Build a model for batches of 1 to N pictures of one size.

    The GPU's context must be current, except for TensorRT-RTX, which needs none to build.

    Args:
        library: The TensorRT that will also run it.
        artifact: The model.
        shape: (N, 3, H, W); N is the largest batch and the one it is tuned for.
        precision: What it computes in.
        timings: The timing cache of an earlier build, or nothing.
        on_progress: Called in this thread as the build goes on; what it raises breaks the build off and is raised here.

    Raises:
        EngineError: An operator that TensorRT does not know (names node and operator), not enough memory, no INT8
            graph, or TensorRT fails in another way.
    """
    graph = graph_bytes(artifact, precision, strongly_typed=library.strongly_typed)
    library.log.clear()
    logger = library.logger()
    try:
        builder = library.module.Builder(logger)
    except TypeError as error:  # "factory function returned nullptr"
        raise EngineError(f"{library.title} cannot build here: {library.complaint()}") from error
    network = builder.create_network(_network_flags(library))
    _parse(library, artifact, graph, network, logger)
    config = builder.create_builder_config()
    _set_flags(library, config, precision)
    _set_profile(library, artifact, shape, builder, config)
    cache = _attach_timings(library, config, timings)
    monitor = _attach_monitor(library, config, on_progress)
    try:
        plan = builder.build_serialized_network(network, config)
    except (RuntimeError, MemoryError) as error:
        raise EngineError(f"{library.title} cannot build {artifact.name}: {reason(error)}") from error
    if monitor is not None and monitor.stopped_by is not None:
        raise monitor.stopped_by
    if plan is None:
        raise EngineError(
            f"{library.title} cannot build {artifact.name} at {shape} in {precision}: {library.complaint()}"
        )
    return BuiltPlan(bytes(memoryview(plan)), _serialised(cache))


def _network_flags(library: Library) -> int:
    flags = library.module.NetworkDefinitionCreationFlag
    return 1 << int(flags.STRONGLY_TYPED if library.strongly_typed else flags.EXPLICIT_BATCH)


def _parse(
    library: Library,
    artifact: ModelArtifact,
    graph: bytes,
    network: trt.INetworkDefinition,
    logger: trt.ILogger,
) -> None:
    parser: trt.OnnxParser = library.module.OnnxParser(network, logger)
    if parser.parse(graph):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    if not errors:
        raise EngineError(f"{library.title} cannot read {artifact.name}: {library.complaint()}")
    raise EngineError(f"{library.title} cannot read {artifact.name}: {_refusal(errors[0], graph)}")


def _refusal(error: trt.ParserError, graph: bytes) -> str:
    """Node, operator and why. TensorRT 8 gives the node's number only."""
    name, operator = getattr(error, "node_name", None), getattr(error, "node_operator", None)
    if name is not None and operator is not None:
        node, kind = name(), operator()
    else:
        node, kind = _node_of(graph, error.node())
    said = " ".join(error.desc().split())
    return f"node {node!r}, operator {kind}: {said[:200]}" if kind else said[:240]


def _node_of(graph: bytes, position: int) -> tuple[str, str]:
    import onnx

    nodes: Any = onnx.load_from_string(graph).graph.node
    return (nodes[position].name, nodes[position].op_type) if 0 <= position < len(nodes) else ("", "")


def _set_flags(library: Library, config: trt.IBuilderConfig, precision: GpuPrecision) -> None:
    flags = library.module.BuilderFlag
    if precision == "fp32":
        # Tensor cores would otherwise round float32 to 10 bits of mantissa: who asks for fp32 wants the reference.
        config.clear_flag(flags.TF32)
    if not library.strongly_typed and precision != "fp32":
        config.set_flag(flags.FP16)
        if precision == "int8":
            config.set_flag(flags.INT8)
    if not library.strongly_typed:
        # cuBLAS and cuDNN are libraries of their own, and need not be there: TensorRT's kernels do convolutions.
        sources = library.module.TacticSource
        config.set_tactic_sources(1 << int(sources.EDGE_MASK_CONVOLUTIONS) | 1 << int(sources.JIT_CONVOLUTIONS))


def _set_profile(
    library: Library,
    artifact: ModelArtifact,
    shape: tuple[int, int, int, int],
    builder: trt.Builder,
    config: trt.IBuilderConfig,
) -> None:
    profile = builder.create_optimization_profile()
    least = (artifact.input_dims[0] or 1, *shape[1:])
    profile.set_shape(artifact.input_name, least, shape, shape)
    if config.add_optimization_profile(profile) < 0:
        raise EngineError(f"{library.title} refuses {artifact.name} at {shape}: {library.complaint()}")


def _attach_timings(library: Library, config: trt.IBuilderConfig, timings: bytes) -> trt.ITimingCache | None:
    """What TensorRT measured in earlier builds. TensorRT-RTX measures nothing when it builds."""
    if library.flavour == "tensorrt_rtx":
        return None
    cache = config.create_timing_cache(timings) or config.create_timing_cache(b"")
    if cache is None or not config.set_timing_cache(cache, False):
        return None
    return cache


def _serialised(cache: trt.ITimingCache | None) -> bytes:
    content = cache.serialize() if cache is not None else None
    return bytes(memoryview(content)) if content is not None else b""


def _attach_monitor(
    library: Library, config: trt.IBuilderConfig, on_progress: Callable[[BuildProgress], None] | None
) -> Any | None:
    if on_progress is None or not hasattr(library.module, "IProgressMonitor"):  # TensorRT before 10
        return None
    monitor = _monitor(library.module, on_progress)
    config.progress_monitor = monitor
    return monitor


def _monitor(module: Any, tell: Callable[[BuildProgress], None]) -> Any:
    class Monitor(module.IProgressMonitor):  # type: ignore[misc]
        """Hands TensorRT's progress on. Nothing may be raised through TensorRT's own frames: it is kept instead."""

        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self.stopped_by: BaseException | None = None
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:  # noqa: ARG002
            self._steps[phase_name] = num_steps
            self._tell(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._tell(phase_name, step + 1)
            return self.stopped_by is None

        def phase_finish(self, phase_name: str) -> None:
            self._tell(phase_name, self._steps.get(phase_name, 0))

        def _tell(self, phase: str, step: int) -> None:
            if self.stopped_by is not None:
                return
            try:
                tell(BuildProgress(phase, step, max(step, self._steps.get(phase, 0))))
            except BaseException as error:  # Ctrl-C arrives here too
                self.stopped_by = error

    return Monitor()
