// The kernels of engines/kernels as a library for the CPU: the same text that nvcc compiles.
#include "letterbox.cu"
#include "class_map.cu"
#include "tint.cu"

HOST_ENTRY(letterbox_f32, Letterbox)
HOST_ENTRY(letterbox_f16, Letterbox)
HOST_ENTRY(classify_grid_f32, Grid)
HOST_ENTRY(classify_grid_f16, Grid)
HOST_ENTRY(class_map_f32, ClassMap)
HOST_ENTRY(class_map_f16, ClassMap)
HOST_ENTRY(tint_classes, Tint)
