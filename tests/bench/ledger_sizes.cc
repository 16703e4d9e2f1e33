#include "tests/bench/ledger_sizes.h"

#include <cstdio>

namespace tally {

namespace {

constexpr size_t kEntryHeader = 2; // C2SP tlog-tiles: a length before each entry

// Late in a host's life: numbers have the digits that they will have.
pb::Statement long_running(const TestHost &host) {
    pb::Statement statement = host.next();
    statement.clear_usage();
    statement.clear_workloads();
    statement.set_sequence(3'000'000);
    pb::Window &window = *statement.mutable_window();
    window.set_begin_boottime_ns(30'000'000'000'000'000);
    window.set_end_boottime_ns(30'000'010'000'000'000);
    pb::Recording &recording = *statement.mutable_recording();
    recording.set_rung(pb::RUNG_EXACT);
    recording.set_since_boottime_ns(29'000'000'000'000'000);
    recording.set_scans(10);
    recording.set_longest_scan_gap_ns(1'000'123'456);
    recording.mutable_usage_map()->set_entries(160);
    recording.mutable_usage_map()->set_capacity(65536);
    recording.mutable_holder_map()->set_entries(320);
    recording.mutable_holder_map()->set_capacity(65536);
    return statement;
}

// Each workload has a name as long as Kubernetes gives, and holds `each` of the devices.
void busy(pb::Statement &statement, uint32_t devices, uint32_t workloads, uint32_t each) {
    for (uint32_t w = 0; w < workloads; ++w) {
        pb::Workload &workload = *statement.add_workloads();
        workload.set_cgroup_id(100'000 + w);
        workload.set_cgroup_path("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
                                 "0a1b2c3d_4e5f_6071_8293_a4b5c6d7e8f9.slice/cri-containerd-"
                                 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                                 ".scope");
        workload.set_tenant("tenant-" + std::to_string(1000 + w));
        workload.set_parent("middleman-gmbh");
        for (uint32_t d = 0; d < each; ++d) {
            pb::Usage &usage = *statement.add_usage();
            usage.set_device((w + d) % devices);
            usage.set_workload(w);
            usage.set_held_ns(9'876'543'210);
            usage.set_opens(120);
            usage.set_releases(118);
            usage.set_open_files(12);
        }
    }
}

size_t print(const char *what, TestHost &host, const pb::Statement &statement) {
    size_t bytes = host.attest(statement).size() + kEntryHeader;
    std::printf("%-64s %6zu bytes\n", what, bytes);
    return bytes;
}

} // namespace

size_t print_sizes(const TestKeys &keys, const std::string &name) {
    TestHost host = keys.host(name);
    host.attest(); // the introduction, hourly
    host.attest();
    pb::Statement idle = long_running(host);
    std::printf("\nbytes of an entry on the log:\n");
    size_t bytes = print("idle host", host, idle);
    pb::Statement shared = idle;
    busy(shared, 8, 20, 1);
    print("8 devices, 20 workloads, each on one of the devices", host, shared);
    pb::Statement all = idle;
    busy(all, 8, 20, 8);
    print("8 devices, 20 workloads, each on all of the devices", host, all);
    return bytes;
}

} // namespace tally
