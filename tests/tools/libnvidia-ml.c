// Stands in for NVIDIA's management library where there is none: the functions that Tallystick uses, by
// NVML's documented ABI (nvml.h; https://docs.nvidia.com/deploy/nvml-api), acting out a script. With OLD,
// as a driver of before R470 had them: no newer list of uses, processes by _v2 with entries of 32 bytes,
// as some R535 wrote them.
//
// The script is the file that TALLY_NVML_SCRIPT names, read anew at every call; one fact a line, each true
// from one moment until another if "FROM-TO " stands before it, in milliseconds since "start":
//
//   start MS                 CLOCK_REALTIME
//   gpu ADDRESS              there is this one; those after it are numbered on. What follows is of the last
//   mig                      its MIG mode is on
//   busy PID SM ENC DEC      the process kept the engines that busy, in percent, by each sample
//   raw PID SM MS            a sample as it stands, so many ms after the last one that is due
//   memory PID BYTES [GI CI] the process has a context
//   ended PID PERCENT MS     accounting mode is on, and the process has ended
//   vgpu ID UUID SM          a virtual GPU
//   opens PATH               a node that the library has open from nvmlInit_v2 to nvmlShutdown
//   fail FUNCTION CODE       all its calls return that
//   hang FUNCTION            all its calls sleep until that is over
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };
enum { MOST = 64, TICK_MS = 100, RING = 72 }; // facts; and the ring that a driver samples into

struct fact {
    int gpu;
    long long from, to; // ms of CLOCK_REALTIME
    char word[16], text[4][80];
};
struct script {
    struct fact facts[MOST];
    int count, gpus;
    long long start, now;
};

static long long realtime_ms(void) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    return at.tv_sec * 1000LL + at.tv_nsec / 1000000;
}

static void read_script(struct script *script) {
    const char *name = getenv("TALLY_NVML_SCRIPT");
    FILE *file = name ? fopen(name, "r") : NULL;
    char line[512];
    memset(script, 0, sizeof(*script));
    script->now = realtime_ms();
    while (file && script->count < MOST && fgets(line, sizeof(line), file)) {
        struct fact *fact = &script->facts[script->count];
        long long from = 0, to = 1LL << 60;
        int used = 0;
        if (sscanf(line, "%lld-%lld %n", &from, &to, &used) < 2)
            used = 0, from = 0, to = 1LL << 60;
        if (sscanf(line + used, "%15s %79s %79s %79s %79s", fact->word, fact->text[0], fact->text[1],
                   fact->text[2], fact->text[3]) < 1)
            continue;
        if (!strcmp(fact->word, "start"))
            script->start = atoll(fact->text[0]);
        if (!strcmp(fact->word, "gpu"))
            script->gpus++;
        fact->gpu = script->gpus - 1;
        fact->from = script->start + from;
        fact->to = script->start + to;
        script->count++;
    }
    if (file) fclose(file);
}

static int is_now(const struct script *script, const struct fact *fact, const char *word) {
    return !strcmp(fact->word, word) && fact->from <= script->now && script->now < fact->to;
}

// What the script has to say against calling it.
static int refusal(struct script *script, const char *function) {
    for (;;) {
        int hangs = 0;
        read_script(script);
        for (int i = 0; i < script->count; i++) {
            const struct fact *fact = &script->facts[i];
            if (is_now(script, fact, "hang") && !strcmp(fact->text[0], function))
                hangs = 1;
            if (is_now(script, fact, "fail") && !strcmp(fact->text[0], function))
                return atoi(fact->text[1]);
        }
        if (!hangs)
            return 0;
        usleep(20000);
    }
}
#define UNLESS_REFUSED                                                                                       \
    struct script script;                                                                                    \
    int refused = refusal(&script, __func__);                                                                \
    if (refused)                                                                                             \
    return refused

static int number_of(void *gpu) {
    return (int)(size_t)gpu - 1;
}

static int node = -1;

int nvmlInit_v2(void) {
    UNLESS_REFUSED;
    for (int i = 0; i < script.count && node < 0; i++) {
        if (!strcmp(script.facts[i].word, "opens"))
            node = open(script.facts[i].text[0], O_RDONLY | O_CLOEXEC);
    }
    return 0;
}

int nvmlShutdown(void) {
    UNLESS_REFUSED;
    if (node >= 0)
        close(node);
    node = -1;
    return 0;
}

const char *nvmlErrorString(int code) {
    return code == NOT_SUPPORTED ? "Not Supported"
           : code == 4           ? "Insufficient Permissions"
           : code == 9           ? "Driver Not Loaded"
           : code == 15          ? "GPU is lost"
           : code == 18          ? "Driver/library version mismatch"
                                 : NULL;
}

int nvmlSystemGetDriverVersion(char *version, unsigned size) {
    snprintf(version, size, "%s", "450.80.02");
    return 0;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    UNLESS_REFUSED;
    *count = (unsigned)script.gpus;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **gpu) {
    UNLESS_REFUSED;
    *gpu = (void *)(size_t)(index + 1);
    return (int)index < script.gpus ? 0 : NOT_FOUND;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *address, void **gpu) {
    UNLESS_REFUSED;
    for (int i = 0; i < script.count; i++) {
        if (!strcmp(script.facts[i].word, "gpu") && !strcmp(script.facts[i].text[0], address)) {
            *gpu = (void *)(size_t)(script.facts[i].gpu + 1);
            return 0;
        }
    }
    return NOT_FOUND;
}

struct pci {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char address[32];
};

int nvmlDeviceGetPciInfo_v3(void *gpu, struct pci *pci) {
    UNLESS_REFUSED;
    memset(pci, 0, sizeof(*pci));
    for (int i = 0; i < script.count; i++) {
        const struct fact *fact = &script.facts[i];
        if (!strcmp(fact->word, "gpu") && fact->gpu == number_of(gpu))
            return sscanf(fact->text[0], "%x:%x:%x", &pci->domain, &pci->bus, &pci->device) == 3 ? 0 : 999;
    }
    return NOT_FOUND;
}

static int mig_is_on(const struct script *script, void *gpu) {
    for (int i = 0; i < script->count; i++) {
        if (is_now(script, &script->facts[i], "mig") && script->facts[i].gpu == number_of(gpu))
            return 1;
    }
    return 0;
}

int nvmlDeviceGetMigMode(void *gpu, unsigned *current, unsigned *pending) {
    UNLESS_REFUSED;
    *current = *pending = (unsigned)mig_is_on(&script, gpu);
    return 0;
}

// One process's samples after `since_ms`, averaged over all of the GPU's.
struct average {
    unsigned long long last_us;
    unsigned percent[3];
};

static int average_of(const struct script *script, const struct fact *fact, long long since_ms,
                      struct average *average) {
    long long newest = script->now / TICK_MS;
    long long oldest = since_ms / TICK_MS + 1;
    unsigned long long samples = 0, sum[3] = {0};
    if (oldest <= newest - RING) oldest = newest - RING + 1;
    average->last_us = 0;
    for (long long tick = oldest; tick <= newest; tick++, samples++) {
        if (tick * TICK_MS <= fact->from || tick * TICK_MS > fact->to)
            continue;
        for (int i = 0; i < 3; i++)
            sum[i] += (unsigned long long)atoll(fact->text[i + 1]);
        average->last_us = (unsigned long long)tick * TICK_MS * 1000;
    }
    for (int i = 0; i < 3 && samples; i++)
        average->percent[i] = (unsigned)((sum[i] + samples / 2) / samples);
    return average->last_us != 0;
}

struct use {
    unsigned pid;
    unsigned long long last_us;
    unsigned sm, memory, encoder, decoder;
};

static int uses_of(const struct script *script, void *gpu, struct use *uses, unsigned *count,
                   unsigned long long since_us) {
    unsigned found = 0, room = uses ? *count : 0;
    for (int i = 0; i < script->count; i++) {
        const struct fact *fact = &script->facts[i];
        struct average average = {0};
        struct use use = {.pid = (unsigned)atoll(fact->text[0])};
        if (fact->gpu != number_of(gpu))
            continue;
        if (is_now(script, fact, "raw")) {
            use.sm = (unsigned)atoll(fact->text[1]);
            use.last_us = (unsigned long long)(script->now / TICK_MS * TICK_MS + atoll(fact->text[2])) * 1000;
        } else if (!strcmp(fact->word, "busy") &&
                   average_of(script, fact, (long long)(since_us / 1000), &average)) {
            use.last_us = average.last_us;
            use.sm = average.percent[0];
            use.encoder = average.percent[1];
            use.decoder = average.percent[2];
        } else {
            continue;
        }
        if (found < room)
            uses[found] = use;
        found++;
    }
    *count = found;
    return found == 0 ? NOT_FOUND : found > room ? INSUFFICIENT_SIZE : 0;
}

int nvmlDeviceGetProcessUtilization(void *gpu, struct use *uses, unsigned *count, unsigned long long since_us) {
    UNLESS_REFUSED;
    if (mig_is_on(&script, gpu))
        return NOT_SUPPORTED;
    return uses_of(&script, gpu, uses, count, since_us);
}

#ifndef OLD
struct newer_use {
    unsigned long long last_us;
    unsigned pid, sm, memory, encoder, decoder, jpeg, ofa;
};
struct newer_uses {
    unsigned version, count;
    unsigned long long since_us;
    struct newer_use *uses;
};

int nvmlDeviceGetProcessesUtilizationInfo(void *gpu, struct newer_uses *asked) {
    struct use uses[MOST];
    unsigned count = MOST;
    UNLESS_REFUSED;
    if (asked->version != (sizeof(*asked) | 1U << 24))
        return 25; // ARGUMENT_VERSION_MISMATCH
    int code = uses_of(&script, gpu, uses, &count, asked->since_us);
    if (code) return code;
    if (count > asked->count)
        code = INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < count && !code; i++)
        asked->uses[i] = (struct newer_use){uses[i].last_us, uses[i].pid,     uses[i].sm, 0,
                                            uses[i].encoder, uses[i].decoder, 0,          0};
    asked->count = count;
    return code;
}
#endif

struct process {
    unsigned pid;
    unsigned long long memory;
    unsigned gi, ci;
#ifdef OLD
    unsigned long long protected_memory;
#endif
};

static int processes_of(const struct script *script, void *gpu, unsigned *count, struct process *processes) {
    unsigned found = 0, room = processes ? *count : 0;
    for (int i = 0; i < script->count; i++) {
        const struct fact *fact = &script->facts[i];
        if (fact->gpu != number_of(gpu) || !is_now(script, fact, "memory"))
            continue;
        if (found < room)
            processes[found] = (struct process){
                .pid = (unsigned)atoll(fact->text[0]),
                .memory = strtoull(fact->text[1], NULL, 0),
                .gi = fact->text[2][0] ? (unsigned)atoll(fact->text[2]) : ~0U,
                .ci = fact->text[3][0] ? (unsigned)atoll(fact->text[3]) : ~0U,
            };
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : 0;
}

#ifdef OLD
int nvmlDeviceGetComputeRunningProcesses_v2(void *gpu, unsigned *count, struct process *processes) {
#else
int nvmlDeviceGetComputeRunningProcesses_v3(void *gpu, unsigned *count, struct process *processes) {
#endif
    UNLESS_REFUSED;
    return processes_of(&script, gpu, count, processes);
}

struct account {
    unsigned percent, memory_percent;
    unsigned long long memory, time_ms, start_us;
    unsigned running, reserved[5];
};

static const struct fact *account_of(const struct script *script, void *gpu, unsigned pid) {
    for (int i = 0; i < script->count; i++) {
        const struct fact *fact = &script->facts[i];
        if (fact->gpu == number_of(gpu) && !strcmp(fact->word, "ended") &&
            (!pid || pid == (unsigned)atoll(fact->text[0])))
            return fact;
    }
    return NULL;
}

int nvmlDeviceGetAccountingMode(void *gpu, unsigned *mode) {
    UNLESS_REFUSED;
    *mode = account_of(&script, gpu, 0) != NULL;
    return 0;
}

int nvmlDeviceGetAccountingStats(void *gpu, unsigned pid, struct account *account) {
    UNLESS_REFUSED;
    const struct fact *fact = account_of(&script, gpu, pid);
    memset(account, 0, sizeof(*account));
    if (!fact) return NOT_FOUND;
    account->percent = (unsigned)atoll(fact->text[1]);
    account->time_ms = strtoull(fact->text[2], NULL, 0);
    return 0;
}

union value {
    unsigned number;
    unsigned long long all;
};
struct vgpu_use {
    unsigned vgpu;
    unsigned long long last_us;
    union value sm, memory, encoder, decoder;
};

int nvmlDeviceGetVgpuUtilization(void *gpu, unsigned long long since_us, unsigned *type, unsigned *count,
                                 struct vgpu_use *uses) {
    unsigned found = 0, room = uses ? *count : 0;
    UNLESS_REFUSED;
    *type = 1; // NVML_VALUE_TYPE_UNSIGNED_INT
    for (int i = 0; i < script.count; i++) {
        const struct fact *fact = &script.facts[i];
        unsigned long long last_us = (unsigned long long)(script.now / TICK_MS * TICK_MS) * 1000;
        if (fact->gpu != number_of(gpu) || !is_now(&script, fact, "vgpu") || last_us <= since_us)
            continue;
        if (found < room)
            uses[found] = (struct vgpu_use){.vgpu = (unsigned)atoll(fact->text[0]),
                                            .last_us = last_us,
                                            .sm.number = (unsigned)atoll(fact->text[2])};
        found++;
    }
    *count = found;
    return found == 0 ? NOT_SUPPORTED : found > room ? INSUFFICIENT_SIZE : 0;
}

int nvmlVgpuInstanceGetMdevUUID(unsigned vgpu, char *uuid, unsigned size) {
    UNLESS_REFUSED;
    for (int i = 0; i < script.count; i++) {
        if (!strcmp(script.facts[i].word, "vgpu") && (unsigned)atoll(script.facts[i].text[0]) == vgpu)
            return snprintf(uuid, size, "%s", script.facts[i].text[1]) < 0;
    }
    return NOT_FOUND;
}

int nvmlVgpuInstanceGetFbUsage(unsigned vgpu, unsigned long long *bytes) {
    *bytes = 1ULL << 30;
    return vgpu ? 0 : NOT_FOUND;
}
