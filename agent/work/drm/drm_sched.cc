// drm_sched: how long each workload's jobs had each ring of a device, by the events of the kernel's
// GPU scheduler (bpf/work/drm_sched.bpf.c; the arithmetic is bpf/work/ring.h). Up to the moment: a
// job that is on a ring at a window's end is busy in this window up to then, and in the next one
// from then on.
//
// Proves that a job of that workload was on the hardware, and no other of its ring. Whose it is,
// the cgroup of the task that queued it says. Does not see:
//   - work that does not go through the scheduler: nvidia.ko, i915, queues that user space rings
//     itself (KFD);
//   - what was queued before the first scan that found a DRM device held: those jobs are counted as
//     "jobs not attributed", as are those that found no room, and their time is nobody's;
//   - the hardware, where firmware schedules: see kQueueSchedulers.
//
// The scheduler is a module on most kernels and comes with the first driver that uses it.
#include "agent/record/map_keys.h"
#include "agent/work/drm/drm.h"
#include "agent/work/sources.h"

#include "bpf/work/drm_sched.skel.h"
#include "bpf/work/wire.h"

#include <array>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

namespace tally {

namespace {

// Drivers with a scheduler for each queue of each client, which firmware then works off on engines
// that queues share: a job in flight is not a job that runs, so their jobs are counted, not timed.
// xe_guc_submit.c, panthor_sched.c, pvr_queue.c, nouveau_sched.c.
constexpr std::array kQueueSchedulers = {"nouveau", "panthor", "powervr", "xe"};

// Of queue, run and done: from 6.17 on, and before (gpu_scheduler_trace.h).
constexpr std::array<std::array<const char *, 3>, 2> kEvents = {{
    {"drm_sched_job_queue", "drm_sched_job_run", "drm_sched_job_done"},
    {"drm_sched_job", "drm_run_job", "drm_sched_process_job"},
}};

// Above this, shares that stood still for a window make room.
constexpr size_t kManyShares = 4096;

struct Destroy {
    void operator()(drm_sched_bpf *skeleton) const { drm_sched_bpf__destroy(skeleton); }
    void operator()(bpf_link *link) const { bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, Destroy>;

template <size_t N> std::string to_string(const char (&name)[N]) {
    return {name, strnlen(name, N)};
}

// What dev_name() calls the device: the address of a PCI function; else the inventory's id has it,
// behind the class.
std::vector<std::string> kernel_names(const Device &device) {
    if (!device.pci_addresses.empty())
        return device.pci_addresses;
    return {device.id.substr(device.id.find(':') + 1)};
}

class DrmSched : public WorkSource {
public:
    explicit DrmSched(std::string sys) : sys_(std::move(sys)) {}

    const char *name() const override { return "drm_sched"; }
    pb::Grade grade() const override { return pb::GRADE_EXACT; }
    std::string absence() const override { return absence_; }

    void look(const Look &look) override {
        devices_ = look.devices;
        std::set<uint32_t> held;
        for (const wire_holding &holding : look.holdings) {
            auto device = look.devices.find(holding.device);
            if (device == look.devices.end() || !is_drm(device->second))
                continue;
            held.insert(holding.device);
            held_.insert({holding.workload, holding.device});
        }
        if (held.empty()) {
            let_go(look.boottime_ns);
            return;
        }
        if (attach())
            keep_places(held);
    }

    WorkRows take(uint64_t boottime_ns) override {
        WorkRows rows = std::exchange(left_, {});
        if (!skeleton_)
            return rows;
        bpf_test_run_opts options = {};
        options.sz = sizeof(options);
        options.ctx_in = &boottime_ns;
        options.ctx_size_in = sizeof(boottime_ns);
        bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.settle), &options);

        std::map<std::pair<std::string, std::string>, uint32_t> capacities = count_rings();
        int map = bpf_map__fd(skeleton_->maps.shares);
        std::vector<work_share> shares = map_keys<work_share>(map);
        std::map<Share, work_busy> taken;
        for (const work_share &share : shares) {
            Share key{share.workload, to_string(share.on.device), to_string(share.on.engine)};
            work_busy now = {};
            if (bpf_map_lookup_elem(map, &share, &now) != 0)
                continue;
            auto earlier = taken_.find(key);
            work_busy before = earlier == taken_.end() ? work_busy{} : earlier->second;
            bool still =
                now.busy_ns == before.busy_ns && now.activity.count == before.activity.count;
            if (still && shares.size() > kManyShares && key.workload != 0) {
                if (bpf_map_lookup_and_delete_elem(map, &share, &now) != 0)
                    continue;
            } else {
                taken[key] = now;
            }
            add(rows, key, now, before, capacities[{key.device, key.engine}]);
        }
        taken_ = std::move(taken);
        earlier_ = std::exchange(held_, {});
        return rows;
    }

private:
    struct Share {
        uint64_t workload;
        std::string device, engine;
        auto operator<=>(const Share &) const = default;
    };

    void add(WorkRows &rows, const Share &share, const work_busy &now, const work_busy &before,
             uint32_t capacity) {
        if (now.activity.count == before.activity.count && now.busy_ns == before.busy_ns)
            return;
        std::optional<uint32_t> device = device_of(share);
        if (share.workload == 0) {
            if (device)
                rows[{0, device, ""}].counts["jobs not attributed"] +=
                    now.activity.count - before.activity.count;
            return;
        }
        WorkFigures &figures = rows[{share.workload, device, share.engine}];
        figures.counts["jobs"] += now.activity.count - before.activity.count;
        figures.active_seconds +=
            static_cast<uint32_t>(now.activity.active_seconds - before.activity.active_seconds);
        if (device && is_timed(devices_.at(*device))) {
            figures.busy_ns = figures.busy_ns.value_or(0) + now.busy_ns - before.busy_ns;
            figures.capacity = std::max(figures.capacity, capacity);
        }
    }

    static bool is_timed(const Device &device) {
        return std::find(kQueueSchedulers.begin(), kQueueSchedulers.end(), device.driver) ==
               kQueueSchedulers.end();
    }

    // The device of that name; or, of its parts, the one that the workload holds, if it is one: the
    // scheduler knows a GPU only as a whole.
    std::optional<uint32_t> device_of(const Share &share) const {
        std::optional<uint32_t> whole;
        for (const auto &[index, device] : devices_) {
            std::vector<std::string> names = kernel_names(device);
            if (is_drm(device) &&
                std::find(names.begin(), names.end(), share.device) != names.end())
                whole = index;
        }
        if (!whole || share.workload == 0 || holds(share.workload, *whole))
            return whole;
        std::vector<uint32_t> parts;
        for (const auto &[index, device] : devices_) {
            if (device.parent == devices_.at(*whole).id && holds(share.workload, index))
                parts.push_back(index);
        }
        return parts.size() == 1 ? parts[0] : whole;
    }

    bool holds(uint64_t workload, uint32_t device) const {
        return held_.contains({workload, device}) || earlier_.contains({workload, device});
    }

    // (device, engine) -> how many rings have that name.
    std::map<std::pair<std::string, std::string>, uint32_t> count_rings() const {
        std::map<std::pair<std::string, std::string>, uint32_t> counts;
        int map = bpf_map__fd(skeleton_->maps.rings);
        for (uint64_t key : map_keys<uint64_t>(map)) {
            work_named_ring ring = {};
            if (bpf_map_lookup_elem(map, &key, &ring) == 0)
                counts[{to_string(ring.name.device), to_string(ring.name.engine)}]++;
        }
        return counts;
    }

    bool attach() {
        if (skeleton_)
            return true;
        if (!std::filesystem::exists(sys_ + "/module/gpu_sched")) {
            absence_ = "no driver here uses the kernel's GPU scheduler";
            return false;
        }
        skeleton_.reset(drm_sched_bpf__open_and_load());
        if (!skeleton_) {
            absence_ = errno_error("load the programs for GPU scheduler events").message;
            if (!std::filesystem::exists(sys_ + "/kernel/btf/gpu_sched"))
                absence_ += " (gpu_sched has no type information: CONFIG_DEBUG_INFO_BTF_MODULES)";
            return false;
        }
        for (const auto &events : kEvents) {
            if (attach_to(events))
                return true;
            if (errno != ENOENT) // which a kernel without these events says
                break;
        }
        absence_ = errno_error("attach to the GPU scheduler's events").message;
        skeleton_.reset();
        return false;
    }

    bool attach_to(const std::array<const char *, 3> &events) {
        const std::array programs = {skeleton_->progs.queued, skeleton_->progs.run,
                                     skeleton_->progs.done};
        std::vector<Link> links;
        for (size_t i = 0; i < programs.size(); i++) {
            bpf_link *link = bpf_program__attach_raw_tracepoint(programs[i], events[i]);
            if (link == nullptr)
                return false;
            links.emplace_back(link);
        }
        links_ = std::move(links);
        absence_.clear();
        return true;
    }

    // For jobs that find no room, so that their number is told.
    void keep_places(const std::set<uint32_t> &held) {
        for (uint32_t index : held) {
            for (const std::string &name : kernel_names(devices_.at(index))) {
                work_share place = {};
                name.copy(place.on.device, WORK_NAME - 1);
                work_busy none = {};
                bpf_map_update_elem(bpf_map__fd(skeleton_->maps.shares), &place, &none,
                                    BPF_NOEXIST);
            }
        }
    }

    // No DRM device is held: the programs go, and cost nothing.
    void let_go(uint64_t boottime_ns) {
        absence_.clear();
        if (!skeleton_)
            return;
        left_ = take(boottime_ns);
        links_.clear();
        skeleton_.reset();
        taken_.clear();
    }

    std::string sys_;
    std::string absence_;
    std::unique_ptr<drm_sched_bpf, Destroy> skeleton_;
    std::vector<Link> links_; // after the skeleton: links go first
    std::map<uint32_t, Device> devices_;
    std::set<std::pair<uint64_t, uint32_t>> held_, earlier_; // in this window, in the one before
    std::map<Share, work_busy> taken_;                       // totals when last taken
    WorkRows left_; // counted before the programs were let go of
};

} // namespace

std::unique_ptr<WorkSource> drm_sched_source(const std::string &sys) {
    return std::make_unique<DrmSched>(sys);
}

} // namespace tally
