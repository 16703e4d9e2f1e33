// For tests of the guard: an agent under watch, and what the auditor reads of it afterwards.
#pragma once

#include "tests/system/lab.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace tally {

inline bool write_to(const std::string &file, const std::string &what) {
    Fd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
    return fd && write(fd.get(), what.data(), what.size()) == static_cast<ssize_t>(what.size());
}

class GuardTest : public testing::Test {
protected:
    void start(const std::vector<std::string> &options = {}) {
        lab_.start_collector();
        lab_.start_agent(options);
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
    bool told(const std::string &line) { return lab_.agent().says(line, 1500); }

    Lab lab_;
};

} // namespace tally
