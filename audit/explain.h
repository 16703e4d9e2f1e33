// `tally explain`: makes and signs an explanation of findings (attest/explain.h) and has it logged.
//
// Signing and sending are two steps, for an auditor's key often lives where no collector can be
// reached. Sending is one gRPC call, made with libcurl (audit/call.h): tally needs no gRPC runtime.
#pragma once

#include "audit/account.h"

#include <string>
#include <vector>

namespace tally {

struct ExplainOptions {
    std::vector<std::string> findings; // ids, as `tally findings` prints them
    std::string why;
    std::string reference;
    bool withdraw = false;
    std::string certificate; // PEM files
    std::string key;
    std::string output; // file; else:
    std::string submit; // file with one that was made before
    std::string collector;
    std::string tls_certificate;
    std::string tls_key;
    std::string tls_root; // empty: the fleet's

    // Whether what was typed belongs together.
    Status check(const std::string &log) const;
};

// Of findings of a log that verifies. An error for a finding that it has not, a certificate that
// may not explain, a key that is not its.
Result<Bytes> make_explanation(const ExplainOptions &options, const Account &account,
                               const FleetRoot &root);

// What --output wrote.
Result<Bytes> read_explanation_file(const ExplainOptions &options);

// Sends it and verifies the receipt; where it lies in the log.
Result<uint64_t> submit_explanation(const ExplainOptions &options, const std::string &fleet_root,
                                    const std::vector<NoteKey> &log_keys, const Bytes &entry);

} // namespace tally
