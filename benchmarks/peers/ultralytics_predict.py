"""Peer: Ultralytics' `predict` with its smallest semantic network, exported to OpenVINO.

The network is built from its description with random weights: they decide which classes are found, not how fast.
"""

from __future__ import annotations

import os
from pathlib import Path

from witness import Witness, arguments

NETWORK = "yolo26n-sem"


def exported(folder: Path, size_hw: tuple[int, int]) -> Path:
    """The network as OpenVINO keeps it; exported the first time."""
    import torch
    from ultralytics import YOLO

    target = folder / f"{NETWORK}-{size_hw[0]}x{size_hw[1]}_openvino_model"
    if not target.exists():
        torch.manual_seed(0)
        made = YOLO(f"{NETWORK}.yaml", task="semantic").export(format="openvino", imgsz=size_hw)
        Path(made).rename(target)
    return target


def main() -> None:
    """Measure."""
    args = arguments()
    args.model.mkdir(exist_ok=True)
    # Before the import: nothing is asked of the network, and settings are kept beside the environment.
    os.environ.update(YOLO_OFFLINE="true", YOLO_CONFIG_DIR=str(args.model))
    import ultralytics

    # Its networks want multiples of 32: our 360 rows become 384.
    size_hw = tuple(-(-side // 32) * 32 for side in args.size)
    model = ultralytics.YOLO(exported(args.model, size_hw), task="semantic")
    witness = Witness(args.rate)
    results = model.predict(str(args.clip), stream=True, imgsz=size_hw, verbose=False)
    while True:
        witness.tick()
        result = next(results, None)
        if result is None:
            break
        witness.seen(result.semantic_mask.data)
    witness.report(f"Ultralytics {ultralytics.__version__}, {NETWORK} at {size_hw[0]}x{size_hw[1]}, random weights")


if __name__ == "__main__":
    main()
