"""Peer: Intel's road-segmentation-adas-0001 in OpenVINO, in a plain loop.

Four classes: background, road, kerb, mark.
"""

from __future__ import annotations

import cv2
import numpy as np
import openvino
from witness import Witness, arguments

args = arguments()
compiled = openvino.Core().compile_model(args.model, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
height, width = list(compiled.input(0).shape)[2:]
witness = Witness(args.rate)
capture = cv2.VideoCapture(str(args.clip))
while True:
    witness.tick()
    ok, image = capture.read()
    if not ok:
        break
    tensor = cv2.resize(image, (width, height)).transpose(2, 0, 1)[None].astype(np.float32)
    scores = compiled(tensor)[0][0]
    # Its grid is about as fine as the picture: winners first, then the picture's size.
    winners = scores.argmax(axis=0).astype(np.uint8)
    witness.seen(cv2.resize(winners, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST))
witness.report(f"OpenVINO {openvino.__version__.partition('-')[0]}, OpenCV {cv2.__version__}")
