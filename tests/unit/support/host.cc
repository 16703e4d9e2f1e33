#include "tests/unit/support/host.h"

#include "attest/dsse.h"

#include <algorithm>
#include <ctime>
#include <gtest/gtest.h>
#include <map>
#include <random>

namespace tally {

namespace {

constexpr uint64_t kFirstWindow = 60 * TestHost::kSecond; // after boot

std::string random_boot_id() {
    std::random_device random;
    std::string id;
    for (int i = 0; i < 16; i++)
        id += static_cast<char>(random());
    return id;
}

void introduce(pb::Statement &statement, const Bytes &certificate) {
    pb::Device &device = *statement.mutable_inventory()->add_devices();
    device.set_index(0);
    device.set_id(TestHost::kDevice);
    device.set_model("stand-in");
    device.set_configured(true);
    pb::Node &node = *device.add_nodes();
    node.set_path("/dev/test0");
    node.set_major(240);
    node.set_minor(0);
    statement.mutable_agent()->set_version("0.0.0-test");
    statement.mutable_agent()->set_kernel("6.1.0-test");
    statement.set_certificate(certificate.data(), certificate.size());
}

// As if of the workloads that held a device the longest hold spanned the others.
void occupy(pb::Statement &statement) {
    std::map<uint32_t, uint64_t> occupied; // by device
    for (const pb::Usage &usage : statement.usage())
        occupied[usage.device()] = std::max(occupied[usage.device()], usage.held_ns());
    for (const auto &[device, ns] : occupied) {
        pb::Occupancy &row = *statement.add_occupancy();
        row.set_device(device);
        row.set_occupied_ns(std::min(ns, length_of(statement.window())));
    }
}

} // namespace

TestHost::TestHost(std::string name, SigningKey key, Bytes certificate)
    : name_(std::move(name)), key_(std::move(key)), certificate_(std::move(certificate)) {
    wall_ns_ = static_cast<uint64_t>(std::time(nullptr)) * kSecond;
    reboot();
}

void TestHost::reboot(uint64_t off_ns) {
    boot_id_ = random_boot_id();
    boottime_ns_ = kFirstWindow;
    since_ns_ = kFirstWindow;
    wall_ns_ += off_ns;
    introduce_ = true;
}

pb::Statement TestHost::next() const {
    pb::Statement statement;
    statement.set_host(name_);
    statement.set_boot_id(boot_id_);
    statement.set_sequence(sequence_ + 1);
    if (sequence_ > 0)
        statement.set_previous(digest_.data(), digest_.size());
    pb::Window &window = *statement.mutable_window();
    window.set_begin_boottime_ns(boottime_ns_);
    window.set_end_boottime_ns(boottime_ns_ + kWindow);
    window.set_begin_wall_ns(wall_ns_);
    window.set_end_wall_ns(wall_ns_ + kWindow);
    statement.set_parts(1);
    if (introduce_)
        introduce(statement, certificate_);

    pb::Workload &workload = *statement.add_workloads();
    workload.set_cgroup_id(4711);
    workload.set_cgroup_path(kCgroup);
    workload.set_tenant(kTenant);
    pb::Usage &usage = *statement.add_usage();
    usage.set_held_ns(kHeld);
    usage.set_opens(1);
    usage.set_releases(1);
    pb::Recording &recording = *statement.mutable_recording();
    recording.set_rung(pb::RUNG_TRACED);
    recording.set_since_boottime_ns(since_ns_);
    recording.set_scans(10);
    recording.set_longest_scan_gap_ns(kSecond);
    recording.set_tells_occupancy(true);
    return statement;
}

Bytes TestHost::attest(const pb::Statement &changed) {
    pb::Statement statement = changed;
    if (statement.recording().tells_occupancy() && statement.occupancy_size() == 0)
        occupy(statement);
    auto attestation = dsse_seal(view(statement.SerializeAsString()), key_);
    if (!attestation) {
        ADD_FAILURE() << attestation.error().message;
        return {};
    }
    sequence_ = statement.sequence();
    digest_ = sha256(*attestation);
    boottime_ns_ = statement.window().end_boottime_ns();
    wall_ns_ = statement.window().end_wall_ns();
    introduce_ = false;
    return *std::move(attestation);
}

pb::Statement statement_in(ByteView attestation) {
    pb::Statement statement;
    auto envelope = dsse_open(attestation);
    EXPECT_TRUE(envelope && statement.ParseFromArray(envelope->payload.data(),
                                                     static_cast<int>(envelope->payload.size())));
    return statement;
}

} // namespace tally
