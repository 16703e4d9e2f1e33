// The auditor's rules over the collector's own log: what `tally findings` will say of a copy of it.
#pragma once

#include "findings/chains.h"
#include "findings/examiner.h"

namespace tally {

class Judge {
public:
    // The next entry of the log. Where an attestation was read from the log again, and not verified
    // again, its signing key is known only if it brings its certificate: else it is its chain's.
    void add(uint64_t log_index, Opened opened) {
        if (opened.signing_key.empty())
            opened.signing_key = chains_.signing_key(opened.statement.host());
        auto placed = chains_.add(log_index, opened);
        examiner_.add({log_index, opened, placed.devices, placed.place});
        size_ = log_index + 1;
    }
    void add(uint64_t log_index, const OpenedExplanation &said) {
        examiner_.add(log_index, said);
        size_ = log_index + 1;
    }
    void add(uint64_t log_index, OpenedEntry entry) {
        std::visit([&](auto &each) { add(log_index, std::move(each)); }, entry);
    }
    uint64_t size() const { return size_; } // of the log, as far as it is judged
    std::vector<Finding> findings() const { return examiner_.findings(); }

private:
    Chains chains_;
    Examiner examiner_;
    uint64_t size_ = 0;
};

} // namespace tally
