// What the kernels need of CUDA, for g++: built-in variables, qualifiers, half precision; and a loop over all threads.
//
// The kernels know no barriers and share nothing between threads, so one thread after the other is all that there is.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

struct Dimensions { unsigned x, y, z; };
static thread_local Dimensions blockIdx, blockDim, threadIdx;

typedef _Float16 half_t;
#define KERNEL static void
#define FUNCTION static inline
FUNCTION float to_float(half_t value) { return (float)value; }
FUNCTION void store(half_t *to, float value) { *to = (half_t)value; }

// run_NAME(parameters, grid x, grid y, block x, block y), and the size of its structure.
#define HOST_ENTRY(name, Parameters)                                                                               \
    extern "C" size_t size_of_##name() { return sizeof(Parameters); }                                              \
    extern "C" void run_##name(const void *bytes, unsigned gx, unsigned gy, unsigned bx, unsigned by) {            \
        Parameters parameters;                                                                                     \
        std::memcpy(&parameters, bytes, sizeof parameters);                                                        \
        blockDim = {bx, by, 1};                                                                                    \
        for (blockIdx.y = 0; blockIdx.y < gy; ++blockIdx.y)                                                        \
            for (blockIdx.x = 0; blockIdx.x < gx; ++blockIdx.x)                                                    \
                for (threadIdx.y = 0; threadIdx.y < by; ++threadIdx.y)                                             \
                    for (threadIdx.x = 0; threadIdx.x < bx; ++threadIdx.x) name(parameters);                       \
    }
