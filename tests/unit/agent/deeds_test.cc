// What the kernel side's records say in words.
#include "agent/guard/deeds.h"

#include <csignal>
#include <cstring>
#include <gtest/gtest.h>

namespace tally {
namespace {

using Lines = std::vector<std::string>;

wire_guard record(uint32_t kind, uint32_t number, uint32_t tgid = 77, const char *comm = "bash",
                  const char *name = "") {
    wire_guard record = {};
    record.boottime_ns = 5;
    record.workload = 4711;
    record.kind = kind;
    record.number = number;
    record.tgid = tgid;
    std::strncpy(record.comm, comm, sizeof(record.comm));
    std::strncpy(record.name, name, sizeof(record.name));
    return record;
}

wire_guard taken(wire_object_kind kind, uint32_t id, uint32_t tgid = 77, const char *name = "") {
    return record(uint32_t{WIRE_TOOK} + kind, id, tgid, "bash", name);
}

Lines lines_of(const std::vector<wire_guard> &records) {
    DeedNames names;
    names.workload = [](uint64_t id) { return id == 4711 ? "/user.slice" : ""; };
    names.object = [](wire_object_kind kind, uint32_t id) {
        return kind == WIRE_MAP && id == 9 ? "usage" : id == 8 ? "scan" : "";
    };
    names.watched = [](const std::string &address) { return address == "0000:3b:00.0"; };
    names.agent = 1234;
    Lines lines;
    for (const Deed &deed : tell_deeds(records, names)) {
        EXPECT_EQ(deed.boottime_ns, 5U);
        lines.push_back(pb::Event::Kind_Name(deed.kind).substr(5) + ": " + deed.detail);
    }
    return lines;
}

TEST(Deeds, ASignalNamesItsSender) {
    EXPECT_EQ(lines_of({record(WIRE_SIGNALLED, SIGKILL)}),
              Lines{"AGENT_SIGNALLED: SIGKILL from pid 77 (bash) in /user.slice"});
    EXPECT_EQ(lines_of({record(WIRE_SIGNALLED, 63)}),
              Lines{"AGENT_SIGNALLED: signal 63 from pid 77 (bash) in /user.slice"});
    wire_guard killed = record(WIRE_SIGNALLED, SIGKILL, 5, "stress");
    killed.by_kernel = 1;
    killed.workload = 12;
    EXPECT_EQ(lines_of({killed}), Lines{"AGENT_SIGNALLED: SIGKILL from the kernel, while pid 5 "
                                        "(stress) in cgroup 12 ran"});
}

TEST(Deeds, WhatOneProcessTookIsOneEvent) {
    EXPECT_EQ(lines_of({taken(WIRE_MAP, 9), taken(WIRE_MAP, 9), taken(WIRE_PROGRAM, 8),
                        taken(WIRE_LINK, 8), taken(WIRE_MAP, 5, 77, "their_name"),
                        taken(WIRE_MAP, 6), taken(WIRE_MAP, 9, 78)}),
              (Lines{"FOREIGN_BPF: pid 77 (bash) in /user.slice got at maps number 6, their_name, "
                     "usage; programs scan; links scan",
                     "FOREIGN_BPF: pid 78 (bash) in /user.slice got at maps usage"}));
}

TEST(Deeds, TheAgentMayTakeItsOwn) {
    EXPECT_EQ(lines_of({taken(WIRE_MAP, 9, 1234)}), Lines{});
}

TEST(Deeds, OnlyWatchedDevicesResourcesMatter) {
    EXPECT_EQ(lines_of({record(WIRE_MAPPED, 2, 77, "bash", "0000:00:01.0"),
                        record(WIRE_MAPPED, 0, 77, "bash", "0000:3b:00.0")}),
              Lines{"RESOURCE_MAPPED: 0000:3b:00.0 resource 0 by pid 77 (bash) in /user.slice"});
}

TEST(Deeds, WhatIsUnknownOrUnterminatedIsReadWithCare) {
    EXPECT_EQ(lines_of({record(999, 1)}), Lines{});
    wire_guard whole = record(WIRE_SIGNALLED, SIGSTOP);
    std::memset(whole.comm, 'x', sizeof(whole.comm));
    EXPECT_EQ(lines_of({whole}), Lines{"AGENT_SIGNALLED: SIGSTOP from pid 77 (xxxxxxxxxxxxxxxx) in "
                                       "/user.slice"});
}

} // namespace
} // namespace tally
