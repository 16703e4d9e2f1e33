// The host's chain on this machine: the signer, the spool that its attestations lie in, and the
// baseline that says which totals they account for. The three move together, whatever kills us.
#pragma once

#include "agent/record/snapshot.h"
#include "agent/spool/spool.h"
#include "agent/statement/baseline.pb.h"
#include "agent/statement/signer.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tally {

class Chain {
public:
    // Recovers the spool, takes the chain up after its last attestation, and completes a window
    // that a crash cut short between its baseline and its last part. An error names the file.
    static Result<std::unique_ptr<Chain>> open(const std::string &state_directory,
                                               uint64_t spool_bytes, Signer signer);

    const ChainHead &head() const { return signer_.head(); }
    const Bytes &certificate() const { return signer_.certificate(); } // DER
    Spool &spool() { return spool_; }
    // Of this boot, and of the chain as it stands; else nothing.
    const std::optional<pb::Baseline> &baseline() const { return baseline_; }

    // Numbers, links, signs and spools a window's statements, all or none of them. `after` is what
    // they account for; boot and statements in it are ours to fill in.
    Status append(std::vector<pb::Statement> statements, pb::Baseline after);

private:
    Chain(std::string baseline_path, Spool spool, Signer signer)
        : baseline_path_(std::move(baseline_path)), spool_(std::move(spool)),
          signer_(std::move(signer)) {}
    Status resume();
    Status append_one(pb::Statement statement);

    std::string baseline_path_;
    Spool spool_;
    Signer signer_;
    std::optional<pb::Baseline> baseline_;
};

// Between the totals of a snapshot and those of a baseline.
void put_totals(pb::Baseline &baseline, const Snapshot &snapshot);
Snapshot totals_of(const pb::Baseline &baseline);

} // namespace tally
