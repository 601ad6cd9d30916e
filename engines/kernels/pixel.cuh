// What all kernels share: which pixel a thread works on, and half precision on both compilers.
//
// One thread computes one pixel. There are no barriers, no shared memory, no atomics and no warp operations, so a loop
// over the threads on a CPU does exactly what the GPU does: the tests compile these same files with g++ and compare.
// Arithmetic is IEEE single precision without contraction (nvcc -fmad=false, g++ -ffp-contract=off), so that both
// round alike.
#pragma once

#ifdef __CUDACC__
#include <cuda_fp16.h>
typedef __half half_t;
#define KERNEL extern "C" __global__ void
#define FUNCTION static __device__ __forceinline__
FUNCTION float to_float(half_t value) { return __half2float(value); }
FUNCTION void store(half_t *to, float value) { *to = __float2half_rn(value); }
#else
#include "host_shim.hpp" // lies with the tests
#endif

FUNCTION float to_float(float value) { return value; }
FUNCTION void store(float *to, float value) { *to = value; }

FUNCTION int pixel_x() { return (int)(blockIdx.x * blockDim.x + threadIdx.x); }
FUNCTION int pixel_y() { return (int)(blockIdx.y * blockDim.y + threadIdx.y); }

// How the pixels of one axis are made from another grid: pixel i from the points first[i] to last[i].
struct Axis {
    const int *first;
    const int *last;
    const float *weights; // of pixel i from weights[i * stride] on
    long long stride;
};
