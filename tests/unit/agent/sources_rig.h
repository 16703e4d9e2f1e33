// The sources over a tree of files that stands for a host's root.
#pragma once

#include "agent/identity/source.h"
#include "tests/unit/agent/scratch.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

namespace tally {

// One of tests/vectors/cgroup-paths.data, which says what its lines mean.
struct CgroupVector {
    std::string where; // file and line
    std::string path, from, asked, source;
    std::vector<Name> names;
    std::vector<std::string> files;
};
std::vector<CgroupVector> cgroup_vectors();
std::string listed(const std::vector<Name> &names); // a line each

class SourcesTest : public testing::Test {
protected:
    // Files of tests/vectors/host, as root would have written them whatever the umask.
    void use_captured_host() const;
    std::string path(const std::string &file) const { return root_.path() + file; }
    void write(const std::string &file, const std::string &text) const;
    std::string contents(const std::string &file) const;
    HostFiles files() const;
    // As Resolver does it: the first that knows the cgroup names it. `asked`: all.
    Identity identify(const std::string &cgroup, const std::string &asked = "",
                      const std::vector<int> &processes = {}) const;

    Scratch root_;
};

} // namespace tally
