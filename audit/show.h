// `tally show`: one attestation or explanation, every field, readable. The whole log is verified
// first: an attestation is as good as its place in its host's chain and in the log.
#pragma once

#include "audit/walk.h"

#include <optional>
#include <string>
#include <vector>

namespace tally {

struct Selector {
    std::optional<uint64_t> index; // in the log; else:
    std::string host;
    uint64_t sequence = 0;

    // "INDEX", or "HOST" and "SEQUENCE", as typed.
    static Result<Selector> parse(const std::vector<std::string> &words);
    bool matches(const Entry &entry) const;
    std::string str() const;
};

Result<std::string> show(const Source &source, const Trust &trust, const Selector &selector,
                         const WalkOptions &options = {});

} // namespace tally
