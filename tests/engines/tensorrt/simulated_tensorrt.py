"""TensorRT's names over ONNX Runtime, for a GPU that is not there: what `typings/tensorrt` says, and no more.

A plan is the ONNX graph; a context computes it when its stream comes to it, reading and writing the simulated GPU's
memory at the addresses it was told. `version` leaves out what that release does not have.
"""

from __future__ import annotations

import enum
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime

from engines.errors import EngineError
from engines.tensorrt.library import Library
from tests.engines.tensorrt.simulated_gpu import SimulatedGpu

_PLAN = b"plan:"


class SimulatedTensorRt(SimpleNamespace):
    """The module. `refuse_plans`, `build_nothing` and `run_nothing` make it fail as the real one does."""

    def __init__(self, gpu: SimulatedGpu, version: str = "10.3.0") -> None:
        super().__init__()
        module = self
        old = version.startswith("8.")
        self.__version__ = version
        self.gpu = gpu
        self.refuse_plans = 0
        self.build_nothing = self.run_nothing = self.no_context = False
        self.operators_unknown: set[str] = set()
        self.builds: list[SimpleNamespace] = []
        self.live: list[str] = []
        self.runtime_configs: list[Any] = []

        class Severity(enum.Enum):
            INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

        class ILogger:
            def __init__(self) -> None: ...

        ILogger.Severity = Severity  # type: ignore[attr-defined]
        self.ILogger = ILogger
        self.DataType = enum.Enum("DataType", ["FLOAT", "HALF"])
        self.TensorIOMode = enum.Enum("TensorIOMode", ["INPUT", "OUTPUT"])
        self.BuilderFlag = enum.IntEnum("BuilderFlag", ["FP16", "INT8", "TF32"] if old else ["TF32"])
        self.TacticSource = enum.IntEnum("TacticSource", {"EDGE_MASK_CONVOLUTIONS": 3, "JIT_CONVOLUTIONS": 4})
        self.NetworkDefinitionCreationFlag = enum.IntEnum(
            "Flag", {"EXPLICIT_BATCH": 0} if old else {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1}
        )
        self.DynamicShapesKernelSpecializationStrategy = enum.Enum("Strategy", ["LAZY", "EAGER"])
        if not old:
            self.IProgressMonitor = type("IProgressMonitor", (), {"__init__": lambda self: None})

        class Parser:
            def __init__(self, network: SimpleNamespace, logger: Any) -> None:
                self.network, self.errors = network, []

            @property
            def num_errors(self) -> int:
                return len(self.errors)

            def get_error(self, index: int) -> Any:
                return self.errors[index]

            def parse(self, model: bytes, path: str | None = None) -> bool:
                graph = onnx.load_from_string(model).graph
                for position, node in enumerate(graph.node):
                    if node.op_type in module.operators_unknown:
                        error = {"desc": lambda: "no importer\nregistered", "node": lambda p=position: p}
                        if not old:
                            error |= {
                                "node_name": lambda n=node: n.name,
                                "node_operator": lambda n=node: n.op_type,
                            }
                        self.errors.append(SimpleNamespace(**error))
                self.network.model = model
                return not self.errors

        class Builder:
            def __init__(self, logger: Any) -> None:
                gpu.used("builder")
                self.logger = logger

            def create_network(self, flags: int = 0) -> SimpleNamespace:
                return SimpleNamespace(flags=flags, model=b"")

            def create_builder_config(self) -> Any:
                return _Config(module)

            def create_optimization_profile(self) -> Any:
                return SimpleNamespace(shapes={}, set_shape=lambda *shapes: None)

            def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
                module.builds.append(SimpleNamespace(network=network, config=config))
                monitor = getattr(config, "progress_monitor", None)
                if monitor is not None:
                    monitor.phase_start("Timing", None, 3)
                    for step in range(3):
                        if not monitor.step_complete("Timing", step):
                            return None
                    monitor.phase_finish("Timing")
                if module.build_nothing:
                    self.logger.log(Severity.ERROR, "[builder.cpp::build::1] Error Code 2:\n OutOfMemory")
                    return None
                return _PLAN + network.model

        class Runtime:
            def __init__(self, logger: Any) -> None:
                gpu.used("runtime")
                self.logger = logger

            def deserialize_cuda_engine(self, plan: bytes) -> Any:
                gpu.used("deserialize")
                if module.refuse_plans or not plan.startswith(_PLAN):
                    module.refuse_plans = max(0, module.refuse_plans - 1)
                    self.logger.log(Severity.ERROR, "The engine plan file is not compatible")
                    return None
                return _Engine(module, plan.removeprefix(_PLAN))

        self.OnnxParser, self.Builder, self.Runtime = Parser, Builder, Runtime

    def library(self, flavour: Literal["tensorrt", "tensorrt_rtx"] = "tensorrt") -> Library:
        return Library(flavour, self.__version__, self)


class _Config:
    def __init__(self, module: SimulatedTensorRt) -> None:
        self.flags: set[str] = {"TF32"}
        self.timings = b""

    def set_flag(self, flag: Any) -> None:
        self.flags.add(flag.name)

    def clear_flag(self, flag: Any) -> None:
        self.flags.discard(flag.name)

    def set_tactic_sources(self, sources: int) -> bool:
        assert sources == 0b11000  # neither cuBLAS nor cuDNN
        return True

    def add_optimization_profile(self, profile: Any) -> int:
        return 0

    def create_timing_cache(self, content: bytes) -> Any:
        return SimpleNamespace(given=content, serialize=lambda: content + b"measured;")

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self.timings = cache.given
        return True


class _Engine:
    def __init__(self, module: SimulatedTensorRt, model: bytes) -> None:
        self.module = module
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.names = [session.get_inputs()[0].name, session.get_outputs()[0].name]
        # Work that waits in a stream holds this, and not the engine: destroying that is what is looked at.
        source, target = self.names
        self.compute = lambda image: session.run([target], {source: image})[0]
        self.num_io_tensors = 2
        module.live.append("engine")

    def __del__(self) -> None:
        # The real one frees memory of the GPU here, and needs the context for that.
        assert self.module.gpu.lost or self.module.gpu.left_active, "an engine was destroyed without a current context"
        self.module.live.remove("engine")

    def get_tensor_name(self, index: int) -> str:
        return str(self.names[index])

    def get_tensor_dtype(self, name: str) -> Any:
        return self.module.DataType.FLOAT

    def create_runtime_config(self) -> Any:
        return SimpleNamespace()

    def create_execution_context(self, runtime_config: Any = None) -> Any:
        if self.module.no_context:
            return None
        self.module.runtime_configs.append(runtime_config)
        return _Context(self)


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self.engine, self.module = engine, engine.module
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: Any) -> bool:
        assert name == self.engine.names[0]
        self.shape = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> Any:
        return self.engine.compute(np.zeros(self.shape, np.float32)).shape

    def set_tensor_address(self, name: str, memory: int) -> bool:
        assert name in self.engine.names
        self.addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        gpu = self.module.gpu
        try:
            gpu.used("execute")
        except EngineError:  # the real one raises nothing
            return False
        if self.module.run_nothing:
            return False
        shape, (source, target) = self.shape, (self.addresses[name] for name in self.engine.names)
        compute = self.engine.compute

        def work() -> None:
            image = gpu.at(source, 4 * int(np.prod(shape))).view(np.float32).reshape(shape)
            logits = compute(image)
            gpu.at(target, logits.nbytes)[:] = np.ascontiguousarray(logits).reshape(-1).view(np.uint8)

        gpu.streams[stream_handle].put(work)
        return True
