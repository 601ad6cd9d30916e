/* Seven functions of the CUDA driver, for capture.py to be called through its real foreign functions: they check the
   order of calls and the handles, and fail where a test says so. Built by test_capture.py. */
#include <stddef.h>
#include <string.h>

int fail_begin, fail_end, fail_instantiate, fail_launch;
int capturing, graphs, runnables, launches;
static int graph, runnable;
static void *const stream = (void *)0x7f00000000001234;

int cuStreamBeginCapture_v2(void *s, int mode) {
    if (s != stream || mode != 1 || capturing) return 1;
    if (fail_begin) return fail_begin;
    capturing = 1;
    return 0;
}

int cuStreamEndCapture(void *s, void **out) {
    if (s != stream || !capturing) return 1;
    capturing = 0;
    *out = NULL;
    if (fail_end) return fail_end;
    graphs++;
    *out = &graph;
    return 0;
}

int cuGraphInstantiateWithFlags(void **out, void *g, unsigned long long flags) {
    if (g != &graph || flags != 0) return 1;
    if (fail_instantiate) return fail_instantiate;
    runnables++;
    *out = &runnable;
    return 0;
}

int cuGraphDestroy(void *g) {
    if (g != &graph) return 1;
    graphs--;
    return 0;
}

int cuGraphLaunch(void *r, void *s) {
    if (r != &runnable || s != stream) return 1;
    if (fail_launch) return fail_launch;
    launches++;
    return 0;
}

int cuGraphExecDestroy(void *r) {
    if (r != &runnable) return 1;
    runnables--;
    return 0;
}

int cuGetErrorString(int code, const char **text) {
    *text = code == 901 ? "operation would make the legacy stream depend on a capturing blocking stream" : NULL;
    return *text ? 0 : 1;
}
