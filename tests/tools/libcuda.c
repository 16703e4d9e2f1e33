// Stands in for NVIDIA's driver library where there is none: functions of its names. They compute
// nothing; cuInit opens the device that TALLY_STAND_IN_DEVICE names, as the library would.
// cuGraphLaunch_ptsz and others are left out, as older drivers lack some. Built with frame pointers:
// the first instruction is a push, which the kernel emulates, as in a function that does something;
// one that it must step over costs a second exception (here 9 us instead of 0.9).
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

int cuInit(unsigned flags) {
    const char *device = getenv("TALLY_STAND_IN_DEVICE");

    (void)flags;
    return device && open(device, O_RDONLY | O_CLOEXEC) < 0 ? 100 : 0; // CUDA_ERROR_NO_DEVICE
}
int cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return 0;
}
int cuDeviceGetPCIBusId(char *text, int size, int device) {
    (void)device;
    snprintf(text, (size_t)size, "stand-in");
    return 0;
}
// Handles are pointers to something.
int cuCtxCreate_v2(void **context, unsigned flags, int device) {
    (void)flags;
    (void)device;
    *context = cuInit;
    return 0;
}
int cuModuleLoadData(void **module, const void *image) {
    (void)image;
    *module = cuInit;
    return 0;
}
int cuModuleGetFunction(void **function, void *module, const char *name) {
    (void)module;
    (void)name;
    *function = cuInit;
    return 0;
}
int cuLaunchKernel(void) {
    return 0;
}
int cuLaunchKernelEx(void) {
    return 0;
}
int cuGraphLaunch(void) {
    return 0;
}
int cuMemcpyHtoD_v2(void) {
    return 0;
}
int cuMemcpyDtoHAsync_v2(void) {
    return 0;
}
int cuCtxSynchronize(void) {
    return 0;
}
