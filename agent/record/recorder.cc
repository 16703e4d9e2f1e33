#include "agent/record/recorder.h"

#include "agent/record/detached_mount.h"
#include "agent/record/tracepoint.h"
#include "base/bytes.h"
#include "bpf/wire.h"

#include "bpf/hold.skel.h"
#include <algorithm>
#include <array>
#include <bpf/bpf.h>
#include <cerrno>
#include <malloc.h>
#include <unistd.h>

namespace tally {

namespace {

// The totals of one entry as of `at`, given its held time at the snapshot before and the time
// since. An edge that fell between `at` and the reading is a little off, either way, and is moved
// into the window it belongs to. An entry caught between the two atomic steps of an edge is off by
// the whole boot time (see wire_usage): nothing, read it again.
std::optional<UsageTotals> settle(const wire_usage &raw, uint64_t held_before, uint64_t window,
                                  uint64_t at) {
    uint64_t held = raw.open_files > 0 ? raw.held_ns + at : raw.held_ns;
    auto grown = static_cast<int64_t>(held - held_before);
    auto most = static_cast<int64_t>(window);
    constexpr auto kReading = static_cast<int64_t>(kSecond); // reading the map takes far less
    if (grown < -kReading || grown > most + kReading)
        return std::nullopt;
    held = held_before + static_cast<uint64_t>(std::clamp<int64_t>(grown, 0, most));
    return UsageTotals{held, raw.opens, raw.found, raw.releases, raw.open_files};
}

std::optional<bpf_prog_info> program_info(const bpf_program *program) {
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) != 0)
        return std::nullopt;
    return info;
}

std::string tag_of(const bpf_program *program) {
    auto info = program_info(program);
    return info ? to_hex(info->tag) : std::string();
}

constexpr std::array<const char *, WIRE_LOSSES> kLossPlaces = {
    "holder map full", "usage map full", "edge ring full", "kernel memory unreadable"};

int handle_edge(void *handler, void *record, size_t size) {
    if (size >= sizeof(wire_edge))
        (*static_cast<Recorder::EdgeHandler *>(handler))(*static_cast<const wire_edge *>(record));
    return 0;
}

} // namespace

void Recorder::Unload::operator()(hold_bpf *skeleton) const {
    hold_bpf__destroy(skeleton);
}
void Recorder::Unload::operator()(bpf_link *link) const {
    bpf_link__destroy(link);
}
void Recorder::Unload::operator()(ring_buffer *ring) const {
    ring_buffer__free(ring);
}

Recorder::Recorder(EdgeHandler on_edge) : on_edge_(std::move(on_edge)) {
}
Recorder::~Recorder() = default;

Result<std::unique_ptr<Recorder>> Recorder::start(const RecorderConfig &config,
                                                  EdgeHandler on_edge) {
    libbpf_set_print(nullptr); // its warnings reach the user through our one line
    std::unique_ptr<Recorder> recorder(new Recorder(std::move(on_edge)));
    pb::Rung best = config.rung.value_or(pb::RUNG_TRACED);
    Status loaded = recorder->load(best, config);
    if (!loaded && !config.rung)
        loaded = recorder->load(pb::RUNG_SCANNED, config);
    if (!loaded)
        return loaded.error();
    malloc_trim(0); // the kernel's BTF, read to relocate the programs, is several MiB
    return recorder;
}

Status Recorder::load(pb::Rung rung, const RecorderConfig &config) {
    links_.clear();
    std::erase_if(hooks_, [](const HookState &hook) { return hook.attached; });
    started_ = now();
    skeleton_.reset(hold_bpf__open());
    if (!skeleton_)
        return errno_error("open the BPF object");
    bpf_map__set_max_entries(skeleton_->maps.usage, config.usage_capacity);
    bpf_map__set_max_entries(skeleton_->maps.holders, config.holder_capacity);
    if (rung == pb::RUNG_SCANNED) {
        bpf_program *program = nullptr;
        bpf_object__for_each_program(program, skeleton_->obj)
            bpf_program__set_autoload(program, program == skeleton_->progs.scan);
    }
    if (hold_bpf__load(skeleton_.get()) != 0)
        return errno_error("load the BPF programs of rung " + pb::Rung_Name(rung));
    last_snapshot_ns_ = last_scan_ns_ = started_.boottime_ns;

    scan_link_.reset(bpf_program__attach_iter(skeleton_->progs.scan, nullptr));
    if (!scan_link_)
        return errno_error("attach the scan (iter/task_file)");
    hooks_.push_back({"scan", true, "", tag_of(skeleton_->progs.scan)});
    edges_.reset(
        ring_buffer__new(bpf_map__fd(skeleton_->maps.edges), handle_edge, &on_edge_, nullptr));
    if (!edges_)
        return errno_error("map the edge ring");
    if (rung == pb::RUNG_TRACED)
        TALLY_TRY(attach_opens());
    rung_ = rung;
    return ok();
}

Status Recorder::attach_opens() {
    auto tracefs = mount_detached("tracefs");
    if (!tracefs)
        return tracefs.error();
    struct Open {
        bpf_program *program;
        const char *tracepoint;
        bool everywhere; // false: an old system call that newer architectures lack
    };
    const auto &programs = skeleton_->progs;
    for (const Open &open :
         {Open{programs.opened_openat, "syscalls/sys_exit_openat", true},
          Open{programs.opened_openat2, "syscalls/sys_exit_openat2", true},
          Open{programs.opened_by_handle, "syscalls/sys_exit_open_by_handle_at", true},
          Open{programs.opened_open, "syscalls/sys_exit_open", false},
          Open{programs.opened_creat, "syscalls/sys_exit_creat", false}}) {
        auto link = attach_tracepoint(open.program, tracefs->get(), open.tracepoint);
        const char *name = bpf_program__name(open.program);
        if (link) {
            links_.emplace_back(*link);
            hooks_.push_back({name, true, "", tag_of(open.program)});
            continue;
        }
        hooks_.push_back({name, false, link.error().message, tag_of(open.program)});
        if (open.everywhere)
            return link.error();
    }
    return ok();
}

Status Recorder::watch(const std::map<uint32_t, uint32_t> &numbers) {
    int map = bpf_map__fd(skeleton_->maps.devices);
    for (const auto &[number, index] : watched_) {
        if (!numbers.contains(number) && bpf_map_delete_elem(map, &number) != 0 && errno != ENOENT)
            return errno_error("remove a device number from the watch list");
    }
    for (const auto &[number, index] : numbers) {
        if (bpf_map_update_elem(map, &number, &index, BPF_ANY) != 0)
            return errno_error("watch device number " + std::to_string(number >> 20) + ":" +
                               std::to_string(number & 0xfffff));
    }
    watched_ = numbers;
    return ok();
}

Status Recorder::scan() {
    Fd iterator(bpf_iter_create(bpf_link__fd(scan_link_.get())));
    if (!iterator)
        return errno_error("start a scan");
    skeleton_->bss->scan_number = skeleton_->bss->scan_number + 1;
    char none[64]; // the program writes nothing; each read goes on where the last one paused
    for (;;) {
        ssize_t length = read(iterator.get(), none, sizeof(none));
        if (length == 0)
            break;
        if (length < 0 && errno != EAGAIN && errno != EINTR)
            return errno_error("scan the descriptor tables");
    }
    uint64_t ended = now().boottime_ns;
    longest_scan_gap_ns_ = std::max(longest_scan_gap_ns_, ended - last_scan_ns_);
    last_scan_ns_ = ended;
    scans_++;
    return ok();
}

bool Recorder::anything_held() const {
    return skeleton_->bss->holder_count > 0;
}

Result<Snapshot> Recorder::snapshot() {
    Snapshot snapshot;
    TALLY_TRY(read_usage(snapshot));
    TALLY_TRY(read_losses(snapshot));
    snapshot.scans = scans_;
    // A gap that is still open counts too: nobody has looked since.
    uint64_t open_gap = snapshot.at.boottime_ns - last_scan_ns_;
    snapshot.longest_scan_gap_ns = std::max(longest_scan_gap_ns_, open_gap);
    longest_scan_gap_ns_ = 0;
    snapshot.usage_capacity = bpf_map__max_entries(skeleton_->maps.usage);
    snapshot.holder_capacity = bpf_map__max_entries(skeleton_->maps.holders);
    snapshot.holders = static_cast<uint32_t>(skeleton_->bss->holder_count);
    if (snapshot.usage.size() > snapshot.usage_capacity / 2)
        TALLY_TRY(forget_idle(snapshot));
    last_usage_ = snapshot.usage;
    last_snapshot_ns_ = snapshot.at.boottime_ns;
    return snapshot;
}

Status Recorder::read_usage(Snapshot &snapshot) {
    constexpr uint32_t kBatch = 512;
    std::vector<wire_usage_key> keys(kBatch);
    std::vector<wire_usage> values(kBatch);
    std::vector<wire_usage_key> unsettled;
    int map = bpf_map__fd(skeleton_->maps.usage);
    uint64_t position = 0;
    bool first = true;
    bool more = true;

    snapshot.at = now();
    auto settled = [&](const wire_usage_key &raw_key, const wire_usage &raw) {
        UsageKey key{raw_key.workload, raw_key.device};
        auto before = last_usage_.find(key);
        auto totals = settle(raw, before == last_usage_.end() ? 0 : before->second.held_ns,
                             snapshot.at.boottime_ns - last_snapshot_ns_, snapshot.at.boottime_ns);
        if (totals)
            snapshot.usage[key] = *totals;
        return totals.has_value();
    };
    while (more) {
        uint32_t count = kBatch;
        if (bpf_map_lookup_batch(map, first ? nullptr : &position, &position, keys.data(),
                                 values.data(), &count, nullptr) != 0) {
            if (errno != ENOENT)
                return errno_error("read the usage map");
            more = false;
        }
        first = false;
        for (uint32_t i = 0; i < count; i++) {
            if (!settled(keys[i], values[i]))
                unsettled.push_back(keys[i]);
        }
    }
    for (const wire_usage_key &key : unsettled) {
        wire_usage raw = {};
        int attempts = 1000;
        do {
            if (bpf_map_lookup_elem(map, &key, &raw) != 0)
                return errno_error("read a usage entry again");
            if (attempts-- == 0)
                return Error{"usage of workload " + std::to_string(key.workload) +
                             " does not settle: the kernel's totals are not to be believed"};
        } while (!settled(key, raw));
    }
    return ok();
}

Status Recorder::read_losses(Snapshot &snapshot) const {
    std::vector<uint64_t> per_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    for (uint32_t place = 0; place < WIRE_LOSSES; place++) {
        if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.losses), &place, per_cpu.data()) != 0)
            return errno_error("read the loss counters");
        uint64_t sum = 0;
        for (uint64_t count : per_cpu)
            sum += count;
        if (sum > 0)
            snapshot.losses[kLossPlaces[place]] = sum;
    }
    bpf_program *program = nullptr;
    bpf_object__for_each_program(program, skeleton_->obj) {
        auto info = bpf_program__fd(program) >= 0 ? program_info(program) : std::nullopt;
        // The kernel skips a program that would run inside another one of its kind.
        if (info && info->recursion_misses > 0)
            snapshot.losses["program " + std::string(bpf_program__name(program)) + " skipped"] =
                info->recursion_misses;
    }
    return ok();
}

// Frees entries that held nothing during the whole window before. One that is used at that very
// moment is put back.
Status Recorder::forget_idle(Snapshot &snapshot) const {
    int map = bpf_map__fd(skeleton_->maps.usage);
    for (auto entry = snapshot.usage.begin(); entry != snapshot.usage.end();) {
        const auto &[key, totals] = *entry;
        auto before = last_usage_.find(key);
        bool idle =
            totals.open_files == 0 && before != last_usage_.end() && before->second == totals;
        wire_usage_key raw_key = {key.workload, key.device, 0};
        wire_usage last = {};
        if (!idle || bpf_map_lookup_and_delete_elem(map, &raw_key, &last) != 0) {
            ++entry;
            continue;
        }
        if (last.opens == totals.opens && last.found == totals.found) {
            entry = snapshot.usage.erase(entry);
            continue;
        }
        if (bpf_map_update_elem(map, &raw_key, &last, BPF_NOEXIST) != 0)
            return errno_error("put a usage entry back");
        ++entry;
    }
    return ok();
}

int Recorder::edges_fd() const {
    return ring_buffer__epoll_fd(edges_.get());
}

void Recorder::read_edges() {
    ring_buffer__consume(edges_.get());
}

} // namespace tally
