// For tests of the guard: an agent under watch, and what the auditor reads of it afterwards.
#pragma once

#include "base/durable.h"
#include "tests/system/lab.h"

#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tally {

inline bool write_to(const std::string &file, const std::string &what) {
    Fd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
    return fd && write(fd.get(), what.data(), what.size()) == static_cast<ssize_t>(what.size());
}

inline std::string attribute(const std::filesystem::path &path) {
    auto contents = read_text(path.string());
    std::string_view rest = contents ? std::string_view(*contents) : "";
    return std::string(take_until(rest, '\n'));
}

// The address of an emulated display that nobody looks at (QEMU's bochs-display), as the lab of
// tests/vm has it: a watched PCI function that may be taken away.
inline std::string spare_function() {
    for (const auto &entry : std::filesystem::directory_iterator("/sys/bus/pci/devices")) {
        if (attribute(entry.path() / "vendor") == "0x1234" &&
            attribute(entry.path() / "class") == "0x038000")
            return entry.path().filename().string();
    }
    return {};
}

class GuardTest : public testing::Test {
protected:
    // On the best rung, or another.
    void start(const std::string &rung = "auto") {
        rung_ = rung;
        lab_.start_collector();
        restart_agent();
    }
    void restart_agent() {
        lab_.start_agent({"--hooks=" + rung_});
        EXPECT_TRUE(lab_.agent().says("connected")) << lab_.agent().output();
    }
    // The auditor's findings about all that the agent saw until now.
    std::string findings() {
        lab_.stop_all();
        Outcome verified = lab_.tally({"verify", lab_.log()});
        EXPECT_LE(verified.status, 1) << verified.output;
        return verified.output;
    }
    static void expect(const std::string &findings, const std::string &text) {
        EXPECT_NE(findings.find(text), std::string::npos) << "no \"" << text << "\" in\n"
                                                          << findings;
    }
    static void expect_none(const std::string &findings, const std::string &text) {
        EXPECT_EQ(findings.find(text), std::string::npos) << findings;
    }
    bool told(const std::string &line) { return lab_.agent().says(line, 2500); }
    static void next_window() { sleep_ms(1300); }
    // The directory of pins whose name begins with `kind`: "maps-", "hooks-".
    static std::string pins_of(const Lab &lab, const std::string &kind) {
        for (const auto &entry : std::filesystem::directory_iterator(lab.pins())) {
            if (entry.path().filename().string().starts_with(kind))
                return entry.path().string();
        }
        return {};
    }
    std::string map(const std::string &name) const { return pins_of(lab_, "maps-") + "/" + name; }
    std::string link(const std::string &hook) const { return pins_of(lab_, "hooks-") + "/" + hook; }
    // What the first statement says of a hook, after the end.
    bool attached(const std::string &hook) const {
        Outcome shown = lab_.tally({"show", lab_.log(), "0"});
        return shown.output.find(" " + hook + ", attached") != std::string::npos;
    }
    static std::string self() { return "pid " + std::to_string(getpid()) + " (system) in /"; }

    Lab lab_;
    std::string rung_;
};

} // namespace tally
