"""Whether a TensorRT engine takes pictures: where the kernels load."""

from __future__ import annotations

import numpy as np
import pytest

from engines.base import DeviceLaps
from engines.errors import EngineError
from engines.kernels import Feed, PictureFormat
from engines.kernels.picture_path import PictureEngine
from tests.engines.tensorrt.conftest import Machine
from tests.engines.tensorrt.simulated_gpu import KERNEL_MS, SimulatedStream


class IdleKernels:
    """Kernels that take their time and do nothing."""

    def launch(self, kernel: str, grid: object, block: object, parameters: bytes, stream: SimulatedStream) -> None:
        stream.put(lambda: None)


def test_where_the_kernels_load_it_takes_pictures(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    loaded: list[bytes] = []
    monkeypatch.setattr(machine.gpu, "load", lambda image: loaded.append(image) or object(), raising=False)
    with machine.open() as engine:
        assert isinstance(engine, PictureEngine)
        assert engine.takes_pictures
        assert engine.takes_pictures
        assert len(loaded) == 2  # letterbox and class map, once
    machine.assert_nothing_is_left()


def test_where_they_do_not_one_line_says_why_and_the_engine_runs_as_any_other(
    machine: Machine, random_images, monkeypatch: pytest.MonkeyPatch
):
    def refuse(image: bytes) -> None:
        raise EngineError("the GPU failed: device kernel image is invalid")

    monkeypatch.setattr(machine.gpu, "load", refuse, raising=False)
    with machine.open() as engine:
        machine.notes.clear()
        assert not engine.takes_pictures
        assert not engine.takes_pictures
        (note,) = machine.notes
        assert note.startswith("pictures are prepared on the CPU: the letterbox kernels cannot be loaded")
        assert "scripts/build_kernels" in note
        engine.infer(random_images(engine.spec.input_shape))
    machine.assert_nothing_is_left()


@pytest.mark.parametrize("failing", ["timed record", "elapsed"])
def test_its_picture_paths_are_timed_with_it(machine: Machine, monkeypatch: pytest.MonkeyPatch, failing: str):
    monkeypatch.setattr(machine.gpu, "load", lambda image: IdleKernels())
    picture, found = np.zeros((64, 96, 3), np.uint8), list[DeviceLaps]()
    feed = Feed(PictureFormat("bgr", (64, 96)), (64, 96), (16, 24))
    with machine.open() as engine:
        engine.time_device(found.append)
        with engine.picture_path([feed]) as path:
            path.classify([(picture,)])
            before_ms = machine.gpu.host_ms
            path.classify([(picture,)])
            waited_ms, laps = machine.gpu.host_ms - before_ms, found[-1]
            machine.gpu.fail(failing)
            with pytest.raises(EngineError, match="the GPU failed"):
                path.classify([(picture,)])
    assert [lap.stage for lap in laps.laps] == ["upload", "letterbox", "inference", "class map", "download"]
    assert [lap.duration_ms for lap in laps.laps[1:4]] == pytest.approx([KERNEL_MS, KERNEL_MS, 2 * KERNEL_MS])
    assert sum(lap.duration_ms for lap in laps.laps) <= laps.total_ms + 1e-9
    assert laps.total_ms <= waited_ms + 1e-9
    assert len(found) == 2
    machine.assert_nothing_is_left()
    assert not machine.gpu.events
