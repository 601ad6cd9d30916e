"""Our network as a user of OpenCV and ONNX Runtime would call it, without anything of Clearway's."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

__all__ = ["Segmenter"]


class Segmenter:
    """A picture in, its class map out.

    Args:
        model: ONNX file, its sidecar beside it.
        size_hw: (H, W) of the network's input.
        coarse: Take the winners on the network's own grid and enlarge those: faster, with edges in steps. Otherwise
            logits are enlarged first, which gives the class map that Clearway gives.
    """

    def __init__(self, model: Path, size_hw: tuple[int, int], *, coarse: bool = False) -> None:
        facts = json.loads(model.with_suffix(".json").read_text())["input"]
        self._mean, self._std = np.array(facts["mean"], np.float32), np.array(facts["std"], np.float32)
        self._size_hw, self._coarse = size_hw, coarse
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self.engine = f"ONNX Runtime {onnxruntime.__version__}, OpenCV {cv2.__version__}"

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 BGR → (H, W) uint8."""
        height, width = self._size_hw
        rgb = cv2.cvtColor(cv2.resize(image, (width, height)), cv2.COLOR_BGR2RGB)
        tensor = (rgb.astype(np.float32) - self._mean) / self._std
        tensor = np.ascontiguousarray(tensor.transpose(2, 0, 1)[None])
        logits = self._session.run(None, {self._input: tensor})[0][0]
        image_size = (image.shape[1], image.shape[0])
        if self._coarse:
            winners = logits.argmax(axis=0).astype(np.uint8)
            return cv2.resize(winners, image_size, interpolation=cv2.INTER_NEAREST)
        return cv2.resize(logits.transpose(1, 2, 0), image_size).argmax(axis=2).astype(np.uint8)
