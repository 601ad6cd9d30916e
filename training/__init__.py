"""The floor that makes models: networks, data sets, the training loop and the export to ONNX. Needs torch."""
