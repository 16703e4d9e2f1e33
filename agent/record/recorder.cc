#include "agent/record/recorder.h"

#include "agent/record/map_keys.h"

#include <algorithm>
#include <array>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <unistd.h>

namespace tally {

namespace {

constexpr std::array<const char *, WIRE_LOSSES> kLossPlaces = {
    "holder map full",           "usage map full", "edge ring full", "kernel memory unreadable",
    "descriptor table too long", "guard ring full"};

int handle_edge(void *handler, void *record, size_t size) {
    auto &on_edge = *static_cast<Recorder::EdgeHandler *>(handler);
    if (size < sizeof(wire_edge))
        return 0;
    const auto &edge = *static_cast<const wire_edge *>(record);
    bool has_opener = edge.kind == WIRE_WORKLOAD_NEW && size >= sizeof(wire_newcomer);
    on_edge(edge, has_opener ? &static_cast<const wire_newcomer *>(record)->opener : nullptr);
    return 0;
}

uint32_t capacity_of(int map) {
    bpf_map_info info = {};
    uint32_t size = sizeof(info);
    return bpf_obj_get_info_by_fd(map, &info, &size) == 0 ? info.max_entries : 0;
}

} // namespace

void Recorder::Free::operator()(ring_buffer *ring) const {
    ring_buffer__free(ring);
}

Recorder::Recorder(KernelSide kernel, EdgeHandler on_edge)
    : kernel_(std::move(kernel)), on_edge_(std::move(on_edge)) {
}
Recorder::~Recorder() = default;

Result<std::unique_ptr<Recorder>> Recorder::start(const RecorderConfig &config,
                                                  EdgeHandler on_edge) {
    auto kernel = KernelSide::start(config);
    if (!kernel)
        return kernel.error();
    std::unique_ptr<Recorder> recorder(new Recorder(std::move(*kernel), std::move(on_edge)));
    recorder->last_.boottime_ns = recorder->started().boottime_ns;
    TALLY_TRY(recorder->open_edges());
    return recorder;
}

Status Recorder::open_edges() {
    edges_.reset(ring_buffer__new(kernel_.map("edges"), handle_edge, &on_edge_, nullptr));
    return edges_ ? ok() : errno_error("map the edge ring");
}

Instant Recorder::started() const {
    return {kernel_.state().since_ns, kernel_.state().since_wall_ns};
}

void Recorder::forget_gap() {
    kernel_.state().longest_gap_ns = 0;
}

void Recorder::resume(const Snapshot &attested) {
    last_ = {attested.at.boottime_ns, attested.usage};
}

Result<std::optional<Recorder::HandOver>> Recorder::hand_over(const Snapshot &attested) {
    const Fd *usage = kernel_.inherited_usage();
    if (usage == nullptr)
        return std::optional<HandOver>();
    HandOver totals;
    totals.inherited.at = totals.own.at = now();
    auto inherited = read_foreign_usage(usage->get(), totals.inherited.at.boottime_ns,
                                        {attested.at.boottime_ns, attested.usage});
    if (!inherited)
        return inherited.error();
    totals.inherited.usage = std::move(*inherited);
    totals.inherited.reading_ns = now().boottime_ns - totals.inherited.at.boottime_ns;
    auto own = read_usage(kernel_.map("usage"), totals.own.at.boottime_ns, last_);
    if (!own)
        return own.error();
    totals.own.usage = std::move(*own);
    totals.own.reading_ns = now().boottime_ns - totals.own.at.boottime_ns;
    resume(totals.own);
    TALLY_TRY(kernel_.forget_inherited());
    return std::optional(std::move(totals));
}

Result<size_t> Recorder::watch(const std::map<uint32_t, uint32_t> &numbers) {
    int map = kernel_.map("devices");
    std::vector<uint32_t> gone;
    for (uint32_t number : map_keys<uint32_t>(map)) {
        if (!numbers.contains(number))
            gone.push_back(number);
    }
    for (uint32_t old : gone) {
        if (bpf_map_delete_elem(map, &old) != 0 && errno != ENOENT)
            return errno_error("remove a device number from the watch list");
    }
    size_t changed = gone.size();
    for (const auto &[wanted, index] : numbers) {
        uint32_t known = 0;
        if (bpf_map_lookup_elem(map, &wanted, &known) == 0 && known == index)
            continue;
        changed++;
        if (bpf_map_update_elem(map, &wanted, &index, BPF_ANY) != 0)
            return errno_error("watch device number " + std::to_string(wanted >> 20) + ":" +
                               std::to_string(wanted & 0xfffff));
    }
    return changed;
}

Status Recorder::scan() {
    Fd iterator(bpf_iter_create(kernel_.scan_link()));
    if (!iterator)
        return errno_error("start a scan");
    scan_began_ = now();
    kernel_.state().found_again = 0;
    kernel_.state().scan_number = scan_began_.boottime_ns;
    holdings_.clear();
    std::array<wire_holding, 1024> found; // each read goes on where the last one paused
    for (;;) {
        ssize_t length = read(iterator.get(), found.data(), sizeof(found));
        if (length == 0)
            break;
        if (length < 0 && errno != EAGAIN && errno != EINTR)
            return errno_error("scan the descriptor tables");
        size_t count = length < 0 ? 0 : static_cast<size_t>(length) / sizeof(wire_holding);
        holdings_.insert(holdings_.end(), found.begin(), found.begin() + count);
    }
    std::erase_if(holdings_, [own = static_cast<uint32_t>(getpid())](const wire_holding &holding) {
        return holding.process == own;
    });
    uint64_t ended = now().boottime_ns;
    scan_cost_ns_ = ended - scan_began_.boottime_ns;
    // What changed just after the scan before had come by was seen by this one, at the latest.
    uint64_t gap = ended - kernel_.state().last_scan_ns;
    kernel_.state().longest_gap_ns = std::max<uint64_t>(kernel_.state().longest_gap_ns, gap);
    kernel_.state().last_scan_ns = scan_began_.boottime_ns;
    scans_++;
    return ok();
}

Result<Snapshot> Recorder::snapshot() {
    return snapshot_at(now());
}

Result<Snapshot> Recorder::snapshot_of_scan() {
    return snapshot_at(scan_began_);
}

Result<Snapshot> Recorder::snapshot_at(const Instant &at) {
    Snapshot snapshot;
    snapshot.at = at;
    auto usage = read_usage(kernel_.map("usage"), snapshot.at.boottime_ns, last_);
    if (!usage)
        return usage.error();
    snapshot.usage = std::move(*usage);
    snapshot.tells_occupancy = true;
    snapshot.reading_ns = now().boottime_ns - at.boottime_ns;
    auto losses = read_losses();
    if (!losses)
        return losses.error();
    snapshot.losses = std::move(*losses);
    snapshot.scans = scans_;
    // A gap that is still open counts too: nobody has looked since.
    uint64_t open_gap = snapshot.at.boottime_ns - kernel_.state().last_scan_ns;
    snapshot.longest_scan_gap_ns = std::max<uint64_t>(kernel_.state().longest_gap_ns, open_gap);
    snapshot.usage_capacity = capacity_of(kernel_.map("usage"));
    snapshot.holder_capacity = capacity_of(kernel_.map("holders"));
    snapshot.holders = static_cast<uint32_t>(kernel_.state().holder_count);
    resume(snapshot);
    return snapshot;
}

Status Recorder::make_room(Snapshot &snapshot, const Snapshot &before,
                           const std::set<UsageKey> &keep) {
    if (snapshot.usage.size() <= snapshot.usage_capacity / 2)
        return ok();
    TALLY_TRY(forget_idle(kernel_.map("usage"), snapshot.usage, before.usage, keep));
    resume(snapshot);
    return ok();
}

Result<std::map<std::string, uint64_t>> Recorder::read_losses() const {
    std::map<std::string, uint64_t> losses;
    std::vector<uint64_t> per_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    for (uint32_t place = 0; place < WIRE_LOSSES; place++) {
        if (bpf_map_lookup_elem(kernel_.map("losses"), &place, per_cpu.data()) != 0)
            return errno_error("read the loss counters");
        uint64_t sum = 0;
        for (uint64_t count : per_cpu)
            sum += count;
        if (sum > 0)
            losses[kLossPlaces[place]] = sum;
    }
    for (const auto &[name, program] : kernel_.programs()) {
        bpf_prog_info info = {};
        uint32_t size = sizeof(info);
        if (bpf_obj_get_info_by_fd(program, &info, &size) != 0)
            return errno_error("ask the kernel about program " + name);
        // The kernel skips a program that would run inside another one of its kind.
        if (info.recursion_misses > 0)
            losses["program " + name + " skipped"] = info.recursion_misses;
    }
    return losses;
}

int Recorder::edges_fd() const {
    return ring_buffer__epoll_fd(edges_.get());
}

void Recorder::read_edges() {
    ring_buffer__consume(edges_.get());
}

} // namespace tally
