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

class SourcesTest : public testing::Test {
protected:
    // Files of tests/vectors/host, as root would have written them whatever the umask.
    void use_captured_host() {
        std::filesystem::copy("tests/vectors/host", root_.path(),
                              std::filesystem::copy_options::recursive);
        for (const auto &each : std::filesystem::recursive_directory_iterator(root_.path()))
            std::filesystem::permissions(each.path(),
                                         std::filesystem::perms(each.is_directory() ? 0755 : 0600));
    }
    std::string path(const std::string &file) const { return root_.path() + file; }
    void write(const std::string &file, const std::string &text) const {
        std::filesystem::create_directories(std::filesystem::path(path(file)).parent_path());
        spill(path(file), view(text));
        std::filesystem::permissions(path(file), std::filesystem::perms(0600));
    }
    std::string contents(const std::string &file) const {
        return std::string(text(slurp(path(file))));
    }
    HostFiles files() const {
        auto opened = HostFiles::open(root_.path());
        if (!opened)
            ADD_FAILURE() << opened.error().message;
        return std::move(*opened);
    }
    // As Resolver does it: the first that knows the cgroup names it. `asked`: all.
    Identity identify(const std::string &cgroup, const std::string &asked = "",
                      const std::vector<int> &processes = {}) const {
        HostFiles host = files();
        Subject subject{cgroup, [&] { return processes; }};
        for (const std::string &name : asked.empty() ? source_names() : std::vector{asked}) {
            auto source = make_source(name);
            if (auto identity = source->identify(subject, host))
                return *identity;
        }
        return {};
    }

    Scratch root_;
};

} // namespace tally
