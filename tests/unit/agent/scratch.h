// A directory of the test's own, gone with it.
#pragma once

#include "base/durable.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>

namespace tally {

class Scratch {
public:
    Scratch() {
        std::string pattern = testing::TempDir() + "tally-XXXXXX";
        if (mkdtemp(pattern.data()) == nullptr)
            std::abort();
        path_ = pattern;
    }
    ~Scratch() { std::filesystem::remove_all(path_); }
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;

    const std::string &path() const { return path_; }
    std::string operator/(const std::string &name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

inline Bytes slurp(const std::string &path) {
    auto bytes = read_file(path);
    EXPECT_TRUE(bytes) << path;
    return bytes ? *bytes : Bytes();
}

inline void spill(const std::string &path, ByteView bytes) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char *>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(out.flush().good()) << path;
}

} // namespace tally
