"""The NVIDIA GPU: whether there is one, and the few things that engines and kernels ask of it.

`presence` answers without importing anything heavy. `device` says what a GPU is to the code above; `pycuda_device`
is the one place that touches PyCUDA, so that everything above it can be driven in tests by a device that is not there.
"""
