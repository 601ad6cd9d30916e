"""Peer: cv2.VideoCapture and ONNX Runtime in a loop, with our network."""

from __future__ import annotations

import cv2
from user_code import Segmenter
from witness import Witness, arguments

args = arguments()
segment = Segmenter(args.model, args.size, coarse=args.variant == "coarse")
witness = Witness(args.rate)
capture = cv2.VideoCapture(str(args.clip))
while True:
    witness.tick()
    ok, image = capture.read()
    if not ok:
        break
    witness.seen(segment(image))
witness.report(segment.engine)
