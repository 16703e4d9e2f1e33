// Stands in for NVIDIA's driver library where there is none: functions of its names, which do nothing.
// cuGraphLaunch_ptsz and others are left out, as older drivers lack some.
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
