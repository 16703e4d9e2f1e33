// `tally show`: one attestation in words, every field, and what of it was verified.
#pragma once

#include "audit/walk.h"

#include <functional>

namespace tally {

// From a log, which is verified whole first.
Result<std::string> show_index(const Source &source, const Trust &trust, uint64_t index);
Result<std::string> show_sequence(const Source &source, const Trust &trust, const std::string &host,
                                  uint64_t sequence);

// From a file that holds one attestation's bytes: its signature is verified, its place in a log and
// chain is not. `certificate_file` (PEM) is the host's signing certificate, if the attestation does
// not bring it; may be empty.
Result<std::string> show_file(const std::string &file, const FleetRoot &root,
                              const std::string &certificate_file);

// All fields of a statement. Devices of `devices` are named; strings are printable.
std::string statement_text(const pb::Statement &statement, const Devices &devices);

} // namespace tally
