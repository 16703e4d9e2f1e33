// Throw-away log keys and directories for the collector's tests.
#pragma once

#include "attest/checkpoint.h"

#include <string>
#include <vector>

namespace tally {

inline constexpr const char *kOrigin = "log.example.com/test";

// One log's two keys, to open the log with any number of times.
class LogKeys {
public:
    LogKeys();
    std::vector<NoteSigner> signers() const;
    std::vector<NoteKey> verifying() const;

private:
    std::string ed25519_; // PEM
    std::string ecdsa_;
};

// A directory that is gone with its contents when the test ends.
class Scratch {
public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;
    const std::string &path() const { return path_; }
    std::string operator/(const std::string &name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

// All regular files below a directory, relative to it, sorted.
std::vector<std::string> files_below(const std::string &directory);
void flip_byte(const std::string &path, size_t at);

} // namespace tally
