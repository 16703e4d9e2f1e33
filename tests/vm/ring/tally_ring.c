// SPDX-License-Identifier: GPL-2.0-only
/*
 * A DRM device for tests, whose engines are timers: a render node on a spare PCI function, with the
 * kernel's own GPU scheduler behind it, so that its tracepoints fire for jobs of known length. Its
 * fdinfo is its own record of what it did for each client, by its own clock.
 *
 * ioctl: keep an engine busy for so long. Returns when the job is queued.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_ioctl.h>
#include <drm/gpu_scheduler.h>
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/seq_file.h>
#include <linux/version.h>

#define ENGINES 2
static const char *const names[ENGINES] = {"gfx", "compute"};

struct tally_ring_busy {
    __u32 engine;
    __u32 milliseconds;
};
#define IOCTL_BUSY DRM_IOW(DRM_COMMAND_BASE, struct tally_ring_busy)

struct engine {
    struct drm_gpu_scheduler sched;
    struct hrtimer timer;
    spinlock_t lock;       /* what is on the hardware */
    struct list_head jobs; /* the first has the engine */
    spinlock_t fence_lock;
    u64 fence_context;
    u64 fences;
};

struct gpu {
    struct drm_device drm;
    struct engine engines[ENGINES];
};

struct client {
    struct kref users; /* the file, and each job */
    u64 id;
    struct drm_sched_entity entities[ENGINES];
    u64 busy_ns[ENGINES]; /* by the engine's lock */
};

struct job {
    struct drm_sched_job base;
    struct list_head node;
    struct client *client;
    struct dma_fence *fence;
    int engine;
    u64 length_ns;
    u64 begin_ns;
};

static void free_client(struct kref *users) {
    kfree(container_of(users, struct client, users));
}

/* ---- The hardware ---- */

static void begin(struct engine *engine, struct job *job) {
    job->begin_ns = ktime_get_boottime_ns();
    hrtimer_start(&engine->timer, ns_to_ktime(job->length_ns), HRTIMER_MODE_REL);
}

static enum hrtimer_restart ended(struct hrtimer *timer) {
    struct engine *engine = container_of(timer, struct engine, timer);
    struct dma_fence *fence;
    unsigned long flags;
    struct job *job;

    spin_lock_irqsave(&engine->lock, flags);
    job = list_first_entry(&engine->jobs, struct job, node);
    list_del(&job->node);
    job->client->busy_ns[job->engine] += ktime_get_boottime_ns() - job->begin_ns;
    fence = job->fence;
    if (!list_empty(&engine->jobs))
        begin(engine, list_first_entry(&engine->jobs, struct job, node));
    spin_unlock_irqrestore(&engine->lock, flags);
    dma_fence_signal(fence); /* the job may be gone now */
    dma_fence_put(fence);
    return HRTIMER_NORESTART;
}

/* ---- The scheduler's side ---- */

static const char *fence_name(struct dma_fence *fence) {
    return "tally_ring";
}
static const struct dma_fence_ops fence_ops = {.get_driver_name = fence_name,
                                               .get_timeline_name = fence_name};

static struct dma_fence *run_job(struct drm_sched_job *base) {
    struct job *job = container_of(base, struct job, base);
    struct engine *engine = container_of(base->sched, struct engine, sched);
    struct dma_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL);
    unsigned long flags;

    if (!fence)
        return ERR_PTR(-ENOMEM);
    dma_fence_init(fence, &fence_ops, &engine->fence_lock, engine->fence_context, ++engine->fences);
    job->fence = dma_fence_get(fence);
    spin_lock_irqsave(&engine->lock, flags);
    list_add_tail(&job->node, &engine->jobs);
    if (list_is_singular(&engine->jobs))
        begin(engine, job);
    spin_unlock_irqrestore(&engine->lock, flags);
    return fence;
}

static enum drm_gpu_sched_stat timed_out(struct drm_sched_job *job) {
    return DRM_GPU_SCHED_STAT_NOMINAL;
}

static void free_job(struct drm_sched_job *base) {
    struct job *job = container_of(base, struct job, base);

    drm_sched_job_cleanup(base);
    kref_put(&job->client->users, free_client);
    kfree(job);
}

static const struct drm_sched_backend_ops sched_ops = {
    .run_job = run_job, .timedout_job = timed_out, .free_job = free_job};

static int start_engine(struct engine *engine, const char *name, struct device *dev) {
    hrtimer_init(&engine->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
    engine->timer.function = ended;
    spin_lock_init(&engine->lock);
    spin_lock_init(&engine->fence_lock);
    INIT_LIST_HEAD(&engine->jobs);
    engine->fence_context = dma_fence_context_alloc(1);
    return drm_sched_init(
        &engine->sched, &(struct drm_sched_init_args) {
            .ops = &sched_ops,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
            .num_rqs = DRM_SCHED_PRIORITY_COUNT,
#endif
            .credit_limit = 2, .timeout = MAX_SCHEDULE_TIMEOUT, .name = name, .dev = dev
        });
}

/* ---- The clients' side ---- */

static int busy(struct drm_device *drm, void *data, struct drm_file *file) {
    struct client *client = file->driver_priv;
    struct tally_ring_busy *asked = data;
    struct job *job;
    int failure;

    if (asked->engine >= ENGINES)
        return -EINVAL;
    job = kzalloc(sizeof(*job), GFP_KERNEL);
    if (!job)
        return -ENOMEM;
    job->client = client;
    job->engine = asked->engine;
    job->length_ns = (u64)asked->milliseconds * NSEC_PER_MSEC;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
    failure = drm_sched_job_init(&job->base, &client->entities[job->engine], 1, client, client->id);
#else
    failure = drm_sched_job_init(&job->base, &client->entities[job->engine], client);
#endif
    if (failure) {
        kfree(job);
        return failure;
    }
    kref_get(&client->users);
    drm_sched_job_arm(&job->base);
    drm_sched_entity_push_job(&job->base);
    return 0;
}

static int opened(struct drm_device *drm, struct drm_file *file) {
    static atomic64_t ids;
    struct gpu *gpu = container_of(drm, struct gpu, drm);
    struct client *client = kzalloc(sizeof(*client), GFP_KERNEL);
    int i;

    if (!client)
        return -ENOMEM;
    kref_init(&client->users);
    client->id = atomic64_inc_return(&ids);
    for (i = 0; i < ENGINES; i++) {
        struct drm_gpu_scheduler *sched = &gpu->engines[i].sched;

        drm_sched_entity_init(&client->entities[i], DRM_SCHED_PRIORITY_NORMAL, &sched, 1, NULL);
    }
    file->driver_priv = client;
    return 0;
}

static void closed(struct drm_device *drm, struct drm_file *file) {
    struct client *client = file->driver_priv;
    int i;

    for (i = 0; i < ENGINES; i++)
        drm_sched_entity_destroy(&client->entities[i]);
    kref_put(&client->users, free_client);
}

static void show_fdinfo(struct seq_file *out, struct file *open) {
    struct drm_file *file = open->private_data;
    struct gpu *gpu = container_of(file->minor->dev, struct gpu, drm);
    struct client *client = file->driver_priv;
    int i;

    seq_printf(out, "drm-driver:\ttally_ring\ndrm-pdev:\t%s\ndrm-client-id:\t%llu\n",
               dev_name(gpu->drm.dev), client->id);
    seq_puts(out, "drm-memory-system:\t4096 KiB\n");
    for (i = 0; i < ENGINES; i++) {
        struct engine *engine = &gpu->engines[i];
        struct job *job;
        u64 ns;

        spin_lock_irq(&engine->lock);
        job = list_first_entry_or_null(&engine->jobs, struct job, node);
        ns = client->busy_ns[i];
        if (job && job->client == client)
            ns += ktime_get_boottime_ns() - job->begin_ns;
        spin_unlock_irq(&engine->lock);
        seq_printf(out, "drm-engine-%s:\t%llu ns\n", names[i], ns);
    }
}

static const struct file_operations fops = {
    .owner = THIS_MODULE,
    .open = drm_open,
    .release = drm_release,
    .unlocked_ioctl = drm_ioctl,
    .llseek = noop_llseek,
    .show_fdinfo = show_fdinfo,
#ifdef FOP_UNSIGNED_OFFSET
    .fop_flags = FOP_UNSIGNED_OFFSET,
#endif
};
static const struct drm_ioctl_desc ioctls[] = {
    {.cmd = IOCTL_BUSY, .flags = DRM_RENDER_ALLOW, .func = busy, .name = "busy"}};
static const struct drm_driver ring_drm = {
    .driver_features = DRIVER_RENDER,
    .open = opened,
    .postclose = closed,
    .fops = &fops,
    .ioctls = ioctls,
    .num_ioctls = ARRAY_SIZE(ioctls),
    .name = "tally_ring",
    .desc = "engines that are timers",
    .major = 1,
};

static int probe(struct pci_dev *pci, const struct pci_device_id *id) {
    struct gpu *gpu = devm_drm_dev_alloc(&pci->dev, &ring_drm, struct gpu, drm);
    int failure, i;

    if (IS_ERR(gpu))
        return PTR_ERR(gpu);
    pci_set_drvdata(pci, gpu);
    for (i = 0; i < ENGINES; i++) {
        failure = start_engine(&gpu->engines[i], names[i], &pci->dev);
        if (failure)
            return failure;
    }
    return drm_dev_register(&gpu->drm, 0);
}

/* Nobody has it open: the test sees to that. */
static void leave(struct pci_dev *pci) {
    struct gpu *gpu = pci_get_drvdata(pci);
    int i;

    drm_dev_unregister(&gpu->drm);
    for (i = 0; i < ENGINES; i++) {
        drm_sched_fini(&gpu->engines[i].sched);
        hrtimer_cancel(&gpu->engines[i].timer);
    }
}

/* Bound by driver_override alone. */
static struct pci_driver ring_driver = {.name = "tally_ring", .probe = probe, .remove = leave};
module_pci_driver(ring_driver);
MODULE_DESCRIPTION("A DRM device whose engines are timers, for tests");
MODULE_LICENSE("GPL");
