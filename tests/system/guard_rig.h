// For tests of the guard: an agent under watch, and what the auditor reads of it afterwards.
#pragma once

#include "tests/system/lab.h"

#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tally {

inline bool write_to(const std::string &file, const std::string &what) {
    Fd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
    return fd && write(fd.get(), what.data(), what.size()) == static_cast<ssize_t>(what.size());
}

class GuardTest : public testing::Test {
protected:
    // On the rung that RUNG names, or the best.
    void start() {
        const char *rung = std::getenv("RUNG");
        start_on(rung != nullptr ? rung : "auto");
    }
    void start_on(const std::string &rung) {
        lab_.start_collector();
        start_agent(rung);
    }
    void start_agent(const std::string &rung) {
        rung_ = rung;
        lab_.start_agent({"--hooks=" + rung});
        EXPECT_TRUE(lab_.agent().says("connected")) << lab_.agent().output();
    }
    void restart_agent() { start_agent(rung_); }
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
