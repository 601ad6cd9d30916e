/* The part of the CUDA driver that Clearway and PyCUDA call, on the host's memory: every call does at once what a GPU
   would do later. It is strict where the real one is: no context, no memory; a wrong handle is refused. What it counts,
   and where it is told to fail, the tests read and write by name. Built by conftest.py; what else PyCUDA links against
   is filled in there and is not supported. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_CONTEXT = 201, INVALID_HANDLE = 400 };

int devices = 1, retained, allocations, streams, events, graphs, runnables, launches, capturing;
int fail_init, fail_begin, fail_end, fail_instantiate, fail_launch, fail_copy, fail_wait, fail_elapsed;
size_t total_bytes = 1 << 26, used_bytes;
void *last_stream;

typedef struct { int timed, recorded, at_ms; } Event;

static char context_tag, stream_tags[64], graph_tag, runnable_tag;
static __thread void *stack[16];
static __thread int depth;

#define NEEDS_CONTEXT if (depth == 0) return INVALID_CONTEXT
#define COPY(target, source, size) \
    NEEDS_CONTEXT; if (fail_copy) return fail_copy; memcpy((void *)(target), (void *)(source), size); return OK

int context_depth(void) { return depth; }

int cuInit(unsigned flags) { return flags ? INVALID_VALUE : fail_init ? fail_init : devices ? OK : NO_DEVICE; }
int cuDriverGetVersion(int *version) { *version = 13000; return OK; }
int cuDeviceGetCount(int *count) { *count = devices; return OK; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal < devices ? OK : 101; }
int cuDeviceGetName(char *name, int length, int device) { (void)device; strncpy(name, "In memory", length); return OK; }
int cuDeviceComputeCapability(int *major, int *minor, int device) { *major = 8; *minor = 9; return device; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = total_bytes; return OK; }

int cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; retained++; *context = &context_tag; return OK; }
int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; retained--; return OK; }
int cuCtxPushCurrent_v2(void *context) {
    if (context != &context_tag || depth == 16) return INVALID_CONTEXT;
    stack[depth++] = context;
    return OK;
}
int cuCtxPopCurrent_v2(void **context) {
    NEEDS_CONTEXT;
    *context = stack[--depth];
    return OK;
}
int cuCtxGetDevice(int *device) { NEEDS_CONTEXT; *device = 0; return OK; }
int cuCtxGetCurrent(void **context) { *context = depth ? stack[depth - 1] : NULL; return OK; }
int cuCtxSynchronize(void) { NEEDS_CONTEXT; return OK; }

/* The size stands before the memory, so that freeing gives it back. */
static void *take(size_t bytes) {
    if (bytes == 0 || used_bytes + bytes > total_bytes) return NULL;
    size_t *piece = malloc(bytes + 64);
    *piece = bytes;
    used_bytes += bytes;
    allocations++;
    return (char *)piece + 64;
}
static int give_back(void *memory) {
    NEEDS_CONTEXT;
    if (memory == NULL) return INVALID_VALUE;
    size_t *piece = (size_t *)((char *)memory - 64);
    used_bytes -= *piece;
    allocations--;
    free(piece);
    return OK;
}
int cuMemAlloc_v2(uintptr_t *address, size_t bytes) {
    NEEDS_CONTEXT;
    *address = (uintptr_t)take(bytes);
    return *address ? OK : OUT_OF_MEMORY;
}
int cuMemFree_v2(uintptr_t address) { return give_back((void *)address); }
int cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
    (void)flags;
    NEEDS_CONTEXT;
    *memory = take(bytes);
    return *memory ? OK : OUT_OF_MEMORY;
}
int cuMemAllocHost_v2(void **memory, size_t bytes) { return cuMemHostAlloc(memory, bytes, 0); }
int cuMemFreeHost(void *memory) { return give_back(memory); }
int cuMemGetInfo_v2(size_t *available, size_t *total) {
    NEEDS_CONTEXT;
    *available = total_bytes - used_bytes;
    *total = total_bytes;
    return OK;
}
int cuMemcpyHtoDAsync_v2(uintptr_t target, const void *source, size_t bytes, void *stream) {
    last_stream = stream;
    COPY(target, source, bytes);
}
int cuMemcpyDtoHAsync_v2(void *target, uintptr_t source, size_t bytes, void *stream) {
    last_stream = stream;
    COPY(target, source, bytes);
}
int cuMemcpyDtoDAsync_v2(uintptr_t target, uintptr_t source, size_t bytes, void *stream) {
    last_stream = stream;
    COPY(target, source, bytes);
}

int cuStreamCreate(void **stream, unsigned flags) {
    NEEDS_CONTEXT;
    if (flags != 1) return INVALID_VALUE; /* Clearway's streams do not wait for the default one */
    *stream = &stream_tags[streams++ % 64];
    return OK;
}
int cuStreamDestroy_v2(void *stream) { NEEDS_CONTEXT; streams--; return stream ? OK : INVALID_HANDLE; }
int cuStreamSynchronize(void *stream) { NEEDS_CONTEXT; return stream ? fail_wait : INVALID_HANDLE; }
int cuStreamWaitEvent(void *stream, void *event, unsigned flags) {
    NEEDS_CONTEXT;
    return stream && event && !flags ? OK : INVALID_HANDLE;
}
int cuEventCreate(void **event, unsigned flags) {
    NEEDS_CONTEXT;
    if (flags != 0 && flags != 2) return INVALID_VALUE; /* with a clock, and without */
    Event *made = calloc(1, sizeof *made);
    made->timed = flags == 0;
    *event = made;
    events++;
    return OK;
}
int cuEventDestroy_v2(void *event) {
    NEEDS_CONTEXT;
    if (event == NULL) return INVALID_HANDLE;
    free(event);
    events--;
    return OK;
}
/* The clock goes on by a millisecond with each event. */
int cuEventRecord(void *event, void *stream) {
    static int now_ms;
    NEEDS_CONTEXT;
    if (event == NULL || stream == NULL) return INVALID_HANDLE;
    ((Event *)event)->recorded = 1;
    ((Event *)event)->at_ms = ++now_ms;
    return OK;
}
int cuEventElapsedTime_v2(float *ms, void *start, void *end) {
    Event *from = start, *to = end;
    NEEDS_CONTEXT;
    if (fail_elapsed) return fail_elapsed;
    if (!from || !to || !from->timed || !to->timed || !from->recorded || !to->recorded) return INVALID_HANDLE;
    *ms = to->at_ms - from->at_ms;
    return OK;
}
/* As a PyCUDA that was built with CUDA 12 or older calls it. */
int cuEventElapsedTime(float *ms, void *start, void *end) { return cuEventElapsedTime_v2(ms, start, end); }
int cuEventSynchronize(void *event) { NEEDS_CONTEXT; return event ? fail_wait : INVALID_HANDLE; }

static void *capturing_stream;
int cuStreamBeginCapture_v2(void *stream, int mode) {
    if (!stream || mode != 1 || capturing) return INVALID_VALUE;
    if (fail_begin) return fail_begin;
    capturing = 1;
    capturing_stream = last_stream = stream;
    return OK;
}
int cuStreamEndCapture(void *stream, void **graph) {
    if (stream != capturing_stream || !capturing) return INVALID_VALUE;
    capturing = 0;
    *graph = NULL;
    if (fail_end) return fail_end;
    graphs++;
    *graph = &graph_tag;
    return OK;
}
int cuGraphInstantiateWithFlags(void **runnable, void *graph, unsigned long long flags) {
    if (graph != &graph_tag || flags) return INVALID_VALUE;
    if (fail_instantiate) return fail_instantiate;
    runnables++;
    *runnable = &runnable_tag;
    return OK;
}
int cuGraphDestroy(void *graph) { graphs--; return graph == &graph_tag ? OK : INVALID_VALUE; }
int cuGraphLaunch(void *runnable, void *stream) {
    if (runnable != &runnable_tag || !stream) return INVALID_VALUE;
    if (fail_launch) return fail_launch;
    last_stream = stream;
    launches++;
    return OK;
}
int cuGraphExecDestroy(void *runnable) { runnables--; return runnable == &runnable_tag ? OK : INVALID_VALUE; }

int cuGetErrorString(int code, const char **text) {
    *text = code == 901 ? "operation would make the legacy stream depend on a capturing blocking stream"
          : code == 700 ? "an illegal memory access was encountered"
          : code == 719 ? NULL /* as if this driver did not know it */ : "an error";
    return *text ? OK : INVALID_VALUE;
}
int cuGetErrorName(int code, const char **text) { return cuGetErrorString(code, text); }
