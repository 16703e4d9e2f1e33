// The two sides of the crypto seam as programs (tests/tools/seam.cc), and a fleet's keys for them.
#pragma once

#include "tests/unit/support/keys.h"

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <sys/wait.h>

namespace tally {

class SeamRig : public testing::Test {
protected:
    static int shell(const std::string &command) {
        int status = std::system(command.c_str());
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    }
    static std::string tool(const std::string &side) {
        return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / ("seam-" + side))
            .string();
    }
    std::string file(const std::string &name) const { return keys_.path(name); }

    TestKeys keys_;
};

} // namespace tally
