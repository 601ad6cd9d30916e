// What tests/engines/cuda/driver_in_memory.c lacks: modules and launches, of the kernels as g++ compiles them.
//
// It is strict where the real driver is: an image must be one, a kernel must exist, its structure must have its size.
#include "host_kernels.cpp"

#include <cstdio>

enum { OK = 0, INVALID_VALUE = 1, INVALID_IMAGE = 200, NOT_FOUND = 500 };

typedef void (*Run)(const void *, unsigned, unsigned, unsigned, unsigned);
struct Kernel {
    const char *name;
    Run run;
    size_t size;
};
#define KERNEL_OF(name) {#name, run_##name, size_of_##name()}
static Kernel kernels[] = {
    KERNEL_OF(letterbox_f32),     KERNEL_OF(letterbox_f16), KERNEL_OF(classify_grid_f32), KERNEL_OF(classify_grid_f16),
    KERNEL_OF(class_map_f32),     KERNEL_OF(class_map_f16), KERNEL_OF(tint_classes),
};
static char module_tag;

extern "C" {
int modules, kernel_launches, refuse_machine_code;

int cuModuleLoadDataEx(void **module, const void *image, unsigned, int *, void **) {
    const unsigned fatbin = 0xBA55ED50;
    const bool is_machine_code = std::memcmp(image, &fatbin, 4) == 0;
    if (is_machine_code ? refuse_machine_code : std::strncmp((const char *)image, ".version", 8) != 0) return INVALID_IMAGE;
    modules++;
    *module = &module_tag;
    return OK;
}
int cuModuleLoadData(void **module, const void *image) { return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr); }
int cuModuleUnload(void *module) {
    modules--;
    return module == &module_tag ? OK : INVALID_VALUE;
}
int cuModuleGetFunction(void **function, void *, const char *name) {
    for (Kernel &kernel : kernels)
        if (std::strcmp(kernel.name, name) == 0) {
            *function = &kernel;
            return OK;
        }
    return NOT_FOUND;
}
// Deprecated since CUDA 4 and without effect upon cuLaunchKernel, but PyCUDA still calls it before every launch.
int cuFuncSetBlockShape(void *function, int x, int y, int z) {
    return function && x > 0 && y > 0 && z > 0 ? OK : INVALID_VALUE;
}
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **parameters, void **extra) {
    const Kernel *kernel = (const Kernel *)function;
    // 1: the buffer's address, 2: where its size stands, 0: the end (CU_LAUNCH_PARAM_BUFFER_POINTER and so on).
    if (!stream || parameters || !extra || extra[0] != (void *)1 || extra[2] != (void *)2 || extra[4]) return INVALID_VALUE;
    if (*(size_t *)extra[3] != kernel->size || gz != 1 || bz != 1 || shared || bx * by > 1024) return INVALID_VALUE;
    kernel->run(extra[1], gx, gy, bx, by);
    kernel_launches++;
    return OK;
}
}
