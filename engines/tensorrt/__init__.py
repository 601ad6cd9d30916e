"""TensorRT: an ONNX model becomes an engine for the GPU of this machine, is kept, and is run.

- `library`: which TensorRT is installed: 8.6, 10, 11 or TensorRT-RTX, and what differs between them
- `network`: the ONNX graph in the precision that it is to compute in
- `build`: graph → plan, with progress and a timing cache
- `cache`: plans kept in a folder of the user's own, none of them trusted unread
- `record`: what a kept plan says of itself
- `execution`: plan → logits: buffers, streams, CUDA graph, several pictures in flight
- `engine`: all of these as an `engines.base.Engine`
"""
