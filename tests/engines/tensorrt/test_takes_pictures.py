"""Whether a TensorRT engine takes pictures: where the kernels load."""

from __future__ import annotations

import pytest

from engines.errors import EngineError
from engines.kernels.picture_path import PictureEngine
from tests.engines.tensorrt.conftest import Machine


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
