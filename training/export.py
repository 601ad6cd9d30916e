"""Write a trained network as a model: ``python -m training.export runs/lite/checkpoint.pt --name clearway-lite``.

A *model* is an ONNX file with its sidecar (`engines.sidecar`). Dynamic in batch, height and width unless ``--size`` is
given; batch normalisation is folded into the convolutions; nothing but convolution, clip, add, average pooling and
resize is left.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import nn

from engines.errors import ClearwayError
from engines.sidecar import Sidecar, SidecarClass, SidecarInput, save_sidecar
from training.checkpoint import CheckpointError, load_checkpoint
from training.labels import CLASSES
from training.networks import build_network, is_own_network, label_network
from training.tensors import INPUT_MEAN, INPUT_STD

__all__ = ["ExportError", "check_parity", "export_onnx", "load_network", "main"]

_OPSET = 17
_PARITY_SIZES = ((360, 640), (360, 480), (227, 321))
_TOLERANCE = 2e-3


class ExportError(ClearwayError):
    """The exported graph does not compute what the network does."""


def load_network(checkpoint: Path, own: str | None = None) -> nn.Module:
    """The averaged weights of a training run, in evaluation mode.

    Args:
        checkpoint: Its file.
        own: ``FILE.py:CLASS``, if the network is one of one's own. A checkpoint alone never has a file run.

    Raises:
        CheckpointError: Not a checkpoint, or one of other classes or of another network.
        ConfigError: The network of one's own cannot be built.
    """
    state = load_checkpoint(checkpoint)
    if state["class_names"] != [entry.name for entry in CLASSES]:
        raise CheckpointError(f"{checkpoint}: trained for other classes: {', '.join(state['class_names'])}")
    name: str = state["network_name"]
    if is_own_network(name) and own is None:
        raise CheckpointError(
            f"{checkpoint}: of the network {name}; say where that file lies with --network FILE.py:CLASS"
        )
    if own is not None and label_network(own) != name:
        raise CheckpointError(f"{checkpoint}: of the network {name}, not {label_network(own)}")
    network = build_network(own or name, len(CLASSES))
    try:
        network.load_state_dict(state["average"])
    except RuntimeError as error:
        raise CheckpointError(f"{checkpoint}: its weights are not those of {name} as it is now; train anew") from error
    return network.eval()


def export_onnx(network: nn.Module, path: Path, *, size_hw: tuple[int, int] | None = None) -> None:
    """Write a network as one ONNX file: ``image`` (N, 3, H, W) float32 → ``logits`` (N, classes, h, w) float32.

    Args:
        network: In evaluation mode, on the CPU.
        path: Of the file.
        size_hw: Fixes H and W (and N to 1); all three stay open without it.
    """
    height, width = size_hw or (360, 640)
    open_sizes = {0: "batch", 2: "height", 3: "width"}
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated, but its graph is the plain one: it folds batch normalisation, and
        # every size it computes is constant where the input's size is.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, height, width),),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes=None if size_hw else {"image": open_sizes, "logits": {0: "batch"}},
        )


def check_parity(network: nn.Module, path: Path, sizes_hw: tuple[tuple[int, int], ...] = _PARITY_SIZES) -> float:
    """Run the file in ONNX Runtime and compare with the network, on noise of several sizes and a batch of two.

    Returns:
        The largest difference, as a share of the largest logit.

    Raises:
        ExportError: It is larger than rounding explains.
    """
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    fixed = all(isinstance(size, int) for size in session.get_inputs()[0].shape)
    if fixed:
        sizes_hw = (tuple(session.get_inputs()[0].shape[2:]),)
    rng = np.random.default_rng(0)
    worst = 0.0
    for height, width in sizes_hw:
        image = rng.normal(size=(1 if fixed else 2, 3, height, width)).astype(np.float32)
        with torch.inference_mode():
            wanted = network(torch.from_numpy(image)).numpy()
        found = session.run(None, {"image": image})[0]
        if found.shape != wanted.shape:
            raise ExportError(f"{path}: logits of {found.shape} for {height}x{width}, the network gives {wanted.shape}")
        worst = max(worst, float(np.abs(found - wanted).max() / np.abs(wanted).max()))
    if worst > _TOLERANCE:
        raise ExportError(f"{path}: differs from the network by {worst:.2g} of the largest logit; do not ship it")
    return worst


def _sidecar(name: str, size_hw: tuple[int, int]) -> Sidecar:
    return Sidecar(
        name=name,
        input=SidecarInput(mean=INPUT_MEAN, std=INPUT_STD, color_order="rgb", size_hw=size_hw),
        classes=tuple(SidecarClass(entry.name, entry.color_rgb, entry.train_id) for entry in CLASSES),
    )


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return int(height), int(width)


def main(arguments: list[str] | None = None) -> int:
    """The command line; gives the exit code: 0, or 2 for a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="checkpoint.pt of a run; its averaged weights are exported")
    parser.add_argument("--name", default="clearway-lite", help="of the model and its files (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("models"), help="folder to write to (%(default)s)")
    parser.add_argument("--network", metavar="FILE.py:CLASS", help="the network, if it is one of your own")
    parser.add_argument("--size", type=_size, metavar="HxW", help="fix the input's size; open by default")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        network = load_network(options.checkpoint, options.network)
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / f"{options.name}.onnx"
        export_onnx(network, path, size_hw=options.size)
        difference = check_parity(network, path)
        save_sidecar(path, _sidecar(options.name, options.size or (360, 640)))
    except ClearwayError as error:
        console.print(str(error), style="red", markup=False)
        return 2
    console.print(
        f"{path}: {path.stat().st_size / 1e6:.1f} MB, differs from torch by {difference:.1g} of the largest logit"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
