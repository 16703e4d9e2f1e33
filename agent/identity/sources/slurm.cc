// Slurm: job, step and task from the cgroup path that slurmstepd makes as root.
//
//   /system.slice/slurmstepd.scope/job_42/step_0/user/task_0     since 22.05, cgroup/v2
//                         (src/plugins/cgroup/v2/cgroup_v2.c; slurm.schedmd.com/cgroup_v2.html).
//                         Steps: a number, batch, extern, interactive; task_special; beside "user",
//                         "slurm" has slurmstepd's own processes
//   /system.slice/NODE_slurmstepd.scope/job_42/...   several slurmd on a host, and since 23.11
//                         wherever slurmd was built with --enable-multiple-slurmd
//   /slurm/uid_1000/job_42/step_batch/task_0   cgroup/v1's layout (src/plugins/cgroup/v1/
//   /slurm_NODE/uid_1000/job_42/...            xcgroup.c), where a site keeps it below the v2 root
//
// The user is in the v1 layout's path alone. The account is nowhere: what slurmd keeps in
// SlurmdSpoolDir is the batch script, which is the user's and may name any account; the credential
// and the step's record are packed in a format of each version's own. Nothing is read of them, nor
// of a process's environment. Map jobs' accounts by tenants.d from a prolog.
#include "agent/identity/sources/sources.h"

namespace tally {

namespace {

struct Job {
    std::string number, step, task, uid, node;
};

std::string numbered(const Parts &parts, size_t at, const char *prefix) {
    auto number = at < parts.size() ? between(parts[at], prefix, "") : std::nullopt;
    return number && is_digits(*number) ? *number : std::string();
}

// From "job_42" on. Below a task all is the job's own.
void take_steps(Job &job, const Parts &parts, size_t at) {
    job.number = numbered(parts, at++, "job_");
    if (at >= parts.size())
        return;
    if (auto step = between(parts[at], "step_", "");
        step &&
        (is_digits(*step) || *step == "batch" || *step == "extern" || *step == "interactive"))
        job.step = *step;
    ++at;
    if (at < parts.size() && (parts[at] == "user" || parts[at] == "slurm"))
        ++at;
    job.task = job.step.empty() ? "" : numbered(parts, at, "task_");
}

std::optional<Job> find(const std::string &cgroup_path) {
    Job job;
    UnitPath path = unit_path(cgroup_path);
    if (path.unit == "slurmstepd.scope" || path.unit.ends_with("_slurmstepd.scope")) {
        job.node = between(path.unit, "", "_slurmstepd.scope").value_or("");
        take_steps(job, path.below, 0);
    } else if (Parts parts = path_parts(cgroup_path);
               !parts.empty() && (parts[0] == "slurm" || parts[0].starts_with("slurm_"))) {
        job.node = between(parts[0], "slurm_", "").value_or("");
        job.uid = numbered(parts, 1, "uid_");
        if (job.uid.empty())
            return std::nullopt;
        take_steps(job, parts, 2);
    }
    return job.number.empty() ? std::nullopt : std::optional(job);
}

class Slurm : public Source {
public:
    const char *name() const override { return "slurm"; }

    std::optional<Identity> identify(const Subject &subject, const HostFiles &) const override {
        auto job = find(subject.cgroup_path);
        if (!job)
            return std::nullopt;
        Identity identity{.source = name(), .names = {}, .origins = {}};
        add_name(identity, "slurm.job", job->number);
        add_name(identity, "slurm.step", job->step);
        add_name(identity, "slurm.task", job->task);
        add_name(identity, "slurm.uid", job->uid);
        add_name(identity, "slurm.node", job->node);
        return identity;
    }
};

} // namespace

std::unique_ptr<Source> slurm_source(const std::string &) {
    return std::make_unique<Slurm>();
}

} // namespace tally
