#include "tests/unit/support/host.h"

#include "attest/dsse.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace tally {

namespace {

constexpr uint32_t kDeviceIndex = 7;

uint64_t wall_clock_ns() {
    auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count());
}

void introduce(pb::Statement &statement, const Bytes &certificate) {
    pb::Device &device = *statement.mutable_inventory()->add_devices();
    device.set_index(kDeviceIndex);
    device.set_id(TestHost::kDevice);
    device.set_model("test device");
    device.set_configured(true);
    pb::Node &node = *device.add_nodes();
    node.set_path("/dev/test0");
    node.set_major(1);
    node.set_minor(7);
    pb::Agent &agent = *statement.mutable_agent();
    agent.set_version("0.1.0");
    agent.set_build_id("00112233");
    agent.set_config_digest(std::string(32, '\x02'));
    agent.set_kernel("6.1.0-test");
    statement.set_certificate(certificate.data(), certificate.size());
}

} // namespace

TestHost::TestHost(std::string name, SigningKey key, Bytes certificate_der)
    : name_(std::move(name)), key_(std::move(key)), certificate_(std::move(certificate_der)),
      wall_ns_(wall_clock_ns()) {
}

pb::Statement TestHost::next() const {
    pb::Statement statement;
    statement.set_host(name_);
    statement.set_boot_id(boot_id_);
    statement.set_sequence(sequence_ + 1);
    if (sequence_ > 0)
        statement.set_previous(head_.data(), head_.size());
    pb::Window &window = *statement.mutable_window();
    window.set_begin_boottime_ns(boottime_ns_);
    window.set_end_boottime_ns(boottime_ns_ + 10 * kSecond);
    window.set_begin_wall_ns(wall_ns_);
    window.set_end_wall_ns(wall_ns_ + 10 * kSecond);
    statement.set_parts(1);
    if (introduce_)
        introduce(statement, certificate_);
    pb::Workload &workload = *statement.add_workloads();
    workload.set_cgroup_id(4711);
    workload.set_cgroup_path("/machine.slice/acme-1.scope");
    workload.set_tenant("acme");
    pb::Usage &usage = *statement.add_usage();
    usage.set_device(kDeviceIndex);
    usage.set_workload(0);
    usage.set_held_ns(4 * kSecond);
    usage.set_opens(1);
    usage.set_releases(1);
    pb::Recording &recording = *statement.mutable_recording();
    recording.set_rung(pb::RUNG_TRACED);
    recording.set_since_boottime_ns(50 * kSecond);
    recording.set_scans(10);
    recording.set_longest_scan_gap_ns(kSecond + 2'000'000);
    recording.mutable_usage_map()->set_entries(1);
    recording.mutable_usage_map()->set_capacity(1024);
    recording.mutable_holder_map()->set_entries(1);
    recording.mutable_holder_map()->set_capacity(1024);
    return statement;
}

Bytes TestHost::attest(const pb::Statement &statement) {
    auto sealed = dsse_seal(view(statement.SerializeAsString()), key_);
    if (!sealed) {
        std::fprintf(stderr, "TestHost: %s\n", sealed.error().message.c_str());
        std::abort();
    }
    sequence_ = statement.sequence();
    head_ = sha256(*sealed);
    boottime_ns_ = statement.window().end_boottime_ns();
    wall_ns_ = statement.window().end_wall_ns();
    introduce_ = false;
    return *std::move(sealed);
}

void TestHost::reboot(uint64_t pause_ns) {
    boot_id_[0]++;
    boottime_ns_ = 100 * kSecond;
    wall_ns_ += pause_ns;
    introduce_ = true;
}

} // namespace tally
