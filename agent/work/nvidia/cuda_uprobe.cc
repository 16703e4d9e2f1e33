// cuda_uprobe: kernel launches, graph launches, copies and synchronisations that processes ask of
// libcuda, by uprobes on the library that holders of NVIDIA devices have mapped: each inode once,
// in whatever container's root it lies. No such holder, no uprobe.
//
// Proves that the calls were made. Can be evaded, and is never the only evidence: a process may
// link its own driver library, or ring the device's doorbell itself.
//
// Function names: cuda.h of the CUDA driver API, whose macros add _v2 and, for per-thread default
// streams, _ptsz. A launch through libcudart ends in these.
#include "agent/record/map_keys.h"
#include "agent/work/sources.h"
#include "base/bytes.h"
#include "base/durable.h"

#include "bpf/work/cuda.skel.h"
#include "bpf/work/wire.h"

#include <algorithm>
#include <array>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <fstream>
#include <set>
#include <sys/stat.h>

namespace tally {

namespace {

struct Call {
    const char *name;
    work_cuda_call what;
};
constexpr Call kCalls[] = {
    {"cuLaunchKernel", WORK_CUDA_LAUNCH},
    {"cuLaunchKernel_ptsz", WORK_CUDA_LAUNCH},
    {"cuLaunchKernelEx", WORK_CUDA_LAUNCH},
    {"cuLaunchKernelEx_ptsz", WORK_CUDA_LAUNCH},
    {"cuLaunchCooperativeKernel", WORK_CUDA_LAUNCH},
    {"cuLaunchCooperativeKernel_ptsz", WORK_CUDA_LAUNCH},
    {"cuLaunchCooperativeKernelMultiDevice", WORK_CUDA_LAUNCH},
    {"cuLaunch", WORK_CUDA_LAUNCH},
    {"cuLaunchGrid", WORK_CUDA_LAUNCH},
    {"cuLaunchGridAsync", WORK_CUDA_LAUNCH},
    {"cuGraphLaunch", WORK_CUDA_GRAPH_LAUNCH},
    {"cuGraphLaunch_ptsz", WORK_CUDA_GRAPH_LAUNCH},
    {"cuMemcpyHtoD_v2", WORK_CUDA_COPY},
    {"cuMemcpyDtoH_v2", WORK_CUDA_COPY},
    {"cuMemcpyDtoD_v2", WORK_CUDA_COPY},
    {"cuMemcpyHtoDAsync_v2", WORK_CUDA_COPY},
    {"cuMemcpyDtoHAsync_v2", WORK_CUDA_COPY},
    {"cuMemcpyDtoDAsync_v2", WORK_CUDA_COPY},
    {"cuMemcpyHtoDAsync_v2_ptsz", WORK_CUDA_COPY},
    {"cuMemcpyDtoHAsync_v2_ptsz", WORK_CUDA_COPY},
    {"cuMemcpyAsync", WORK_CUDA_COPY},
    {"cuMemcpyAsync_ptsz", WORK_CUDA_COPY},
    {"cuStreamSynchronize", WORK_CUDA_SYNCHRONISE},
    {"cuStreamSynchronize_ptsz", WORK_CUDA_SYNCHRONISE},
    {"cuCtxSynchronize", WORK_CUDA_SYNCHRONISE},
    {"cuEventSynchronize", WORK_CUDA_SYNCHRONISE},
};
constexpr std::array<const char *, WORK_CUDA_CALLS> kWords = {"launches", "graph launches",
                                                              "copies", "synchronisations"};

struct Destroy {
    void operator()(cuda_bpf *skeleton) const { cuda_bpf__destroy(skeleton); }
    void operator()(bpf_link *link) const { bpf_link__destroy(link); }
};
using Links = std::vector<std::unique_ptr<bpf_link, Destroy>>;

// A file as the kernel tells files apart: the same library in two containers may be one or two.
struct FileId {
    uint64_t device = 0;
    uint64_t inode = 0;
    auto operator<=>(const FileId &) const = default;
};

bool may_run_cuda(const Device &device) {
    return device.pci_id.starts_with("10de:") || device.configured;
}

// The libcuda that a process has mapped, by a path that leads to that very file from here, whatever
// the process's root: /proc/PID/map_files/BEGIN-END (proc(5)). Empty: none.
std::string mapped_library(const std::string &proc, uint32_t process) {
    std::string directory = proc + "/" + std::to_string(process);
    std::ifstream maps(directory + "/maps");
    std::string line;
    while (std::getline(maps, line)) {
        size_t slash = line.rfind('/');
        if (slash == std::string::npos || line.compare(slash, 11, "/libcuda.so") != 0)
            continue;
        return directory.append("/map_files/").append(line, 0, line.find(' '));
    }
    return {};
}

class CudaUprobe : public WorkSource {
public:
    explicit CudaUprobe(std::string proc) : proc_(std::move(proc)) {}

    const char *name() const override { return "cuda_uprobe"; }
    pb::Grade grade() const override { return pb::GRADE_ABLE; }
    std::string absence() const override { return absence_; }

    void look(const Look &look) override {
        std::set<uint32_t> processes;
        for (const wire_holding &holding : look.holdings) {
            auto device = look.devices.find(holding.device);
            if (device != look.devices.end() && may_run_cuda(device->second))
                processes.insert(holding.process);
        }
        std::set<FileId> mapped;
        for (uint32_t process : processes) {
            std::string path = mapped_library(proc_, process);
            struct stat status = {};
            if (path.empty() || stat(path.c_str(), &status) != 0)
                continue;
            FileId file{status.st_dev, status.st_ino};
            if (mapped.insert(file).second && !probed_.contains(file))
                probe(file, path);
        }
        std::erase_if(probed_, [&](const auto &each) { return !mapped.contains(each.first); });
        if (probed_.empty())
            let_go();
    }

    WorkRows take(uint64_t) override {
        WorkRows rows = std::exchange(left_, {});
        if (!skeleton_)
            return rows;
        int map = bpf_map__fd(skeleton_->maps.cuda);
        std::map<uint64_t, work_cuda> taken;
        for (uint64_t workload : map_keys<uint64_t>(map)) {
            work_cuda now = {};
            if (bpf_map_lookup_elem(map, &workload, &now) == 0)
                add(rows, map, workload, now, taken);
        }
        taken_ = std::move(taken);
        return rows;
    }

private:
    // What came since the last time; an entry that stood still since then makes room.
    void add(WorkRows &rows, int map, uint64_t workload, work_cuda now,
             std::map<uint64_t, work_cuda> &taken) {
        auto earlier = taken_.find(workload);
        work_cuda before = earlier == taken_.end() ? work_cuda{} : earlier->second;
        if (now.all.count == before.all.count) {
            if (bpf_map_lookup_and_delete_elem(map, &workload, &now) != 0)
                return;
        } else {
            taken[workload] = now;
        }
        if (now.all.count == before.all.count)
            return;
        WorkFigures &figures = rows[{workload, std::nullopt, ""}];
        figures.active_seconds +=
            static_cast<uint32_t>(now.all.active_seconds - before.all.active_seconds);
        for (size_t what = 0; what < WORK_CUDA_CALLS; what++)
            figures.counts[kWords[what]] += now.calls[what] - before.calls[what];
    }

    void probe(const FileId &file, const std::string &path) {
        if (!skeleton_) {
            skeleton_.reset(cuda_bpf__open_and_load());
            if (!skeleton_) {
                absence_ = errno_error("load the uprobe").message;
                return;
            }
        }
        Links links;
        std::string reason = "no function of the driver API in it";
        for (const Call &call : kCalls) {
            bpf_uprobe_opts options = {};
            options.sz = sizeof(options);
            options.bpf_cookie = call.what;
            options.func_name = call.name;
            bpf_link *link = bpf_program__attach_uprobe_opts(skeleton_->progs.called, -1,
                                                             path.c_str(), 0, &options);
            if (link != nullptr)
                links.emplace_back(link);
            else if (errno != ENOENT) // which a library without that function says
                reason = errno_error("attach to " + std::string(call.name)).message;
        }
        if (links.empty()) {
            absence_ = "libcuda: " + reason;
            return;
        }
        absence_.clear();
        probed_[file] = std::move(links);
    }

    void let_go() {
        if (!skeleton_)
            return;
        left_ = take(0);
        taken_.clear();
        skeleton_.reset();
    }

    std::string proc_;
    std::string absence_;
    std::unique_ptr<cuda_bpf, Destroy> skeleton_;
    std::map<FileId, Links> probed_; // after the skeleton: links go first
    std::map<uint64_t, work_cuda> taken_;
    WorkRows left_; // counted before the probes were let go of
};

} // namespace

std::unique_ptr<WorkSource> cuda_uprobe_source(const std::string &proc) {
    return std::make_unique<CudaUprobe>(proc);
}

} // namespace tally
