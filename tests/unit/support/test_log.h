// A log written without the collector, straight from attest/layout.h: what `tally` reads, made in
// the test's own process, right or wrong as the test wants it.
#pragma once

#include "attest/checkpoint.h"
#include "attest/layout.h"

#include <string>
#include <vector>

namespace tally {

class TestLog {
public:
    // In a directory of its own, removed at the end.
    TestLog(std::string origin, std::vector<NoteSigner> signers);
    ~TestLog();
    TestLog(const TestLog &) = delete;
    TestLog &operator=(const TestLog &) = delete;

    void append(Bytes entry) { entries_.push_back(std::move(entry)); }
    // Writes all tiles of the present size, and the checkpoint over them. Partial tiles of earlier
    // sizes stay, as the format allows.
    void publish() const;
    void write_checkpoint(uint64_t size, const Digest &root) const;

    const std::string &directory() const { return directory_; }
    std::vector<Bytes> &entries() { return entries_; }

private:
    std::string origin_;
    std::vector<NoteSigner> signers_;
    std::string directory_;
    std::vector<Bytes> entries_;
};

} // namespace tally
