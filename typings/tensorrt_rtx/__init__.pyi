# TensorRT-RTX has the names of TensorRT.
from tensorrt import *
