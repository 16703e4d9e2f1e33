// The one pass over a log that everything `tally` prints is built upon: it verifies all of it and
// hands out each attestation with where it was found. What a visitor gathers may be shown only if
// walk() returned no error: the root is compared last.
//
//   checkpoint    signed by every key of the auditor's
//   files         none that has no place in the log, none missing
//   entries       hash to the tiles, of every level, byte for byte, and these to the signed root
//   attestations  each one's signature and certificate; where it stands in its host's chain is
//                 handed out with it (findings/chains.h), and judged by the rules in findings/
//   explanations  each one's signature and certificate; what they explain is for findings/ to say
//
// Signatures are verified in worker threads, entries handed out in the log's order by the caller's.
// Only so many entry bundles as keep the workers busy are in memory at once.
#pragma once

#include "attest/checkpoint.h"
#include "attest/explain.h"
#include "audit/source.h"
#include "audit/state.pb.h"
#include "audit/unseal.h"
#include "findings/entry.h"
#include "findings/rule.h"

#include <functional>
#include <string>
#include <vector>

namespace tally {

// What the auditor believes beforehand.
struct Trust {
    std::vector<NoteKey> log_keys;
    FleetRoot fleet_root;

    // From a file of vkey lines and one of PEM certificates.
    static Result<Trust> load(const std::string &log_keys_file, const std::string &root_file);
};

// References hold during the visit.
struct ExplanationEntry {
    uint64_t index; // in the log
    const OpenedExplanation &opened;
    ByteView bytes;
};

struct WalkOptions {
    unsigned threads = 0; // 0: one a core
    // Called now and then with how many entries of how many are done.
    std::function<void(uint64_t done, uint64_t size)> progress;
    // Goes on behind what an earlier run verified (audit/state.h). `remember` sees, before anything
    // new is visited, each host's last inventory and last statement.
    const pb::VerifyState *before = nullptr;
    std::function<void(const Entry &)> remember;
    // Explanations of findings, in their places among the attestations.
    std::function<void(const ExplanationEntry &)> explanation;
    Limits limits; // what the rules hold to
    // Puts names where tokens stand, before a statement is handed out; null: they stay.
    Unsealer *unsealer = nullptr;
};

struct Verified {
    Checkpoint checkpoint;
    std::string note;               // the checkpoint as it is signed
    std::vector<std::string> notes; // what was found but not read
    uint64_t explanations = 0;      // of the entries; the others are attestations

    std::string in_words() const; // "log ORIGIN, 5 attestations and 1 explanation"
};

// "5 attestations", "5 attestations and 1 explanation".
std::string entries_in_words(uint64_t entries, uint64_t explanations);

using Visit = std::function<void(const Entry &)>;
Result<Verified> walk(const Source &source, const Trust &trust, const Visit &visit,
                      const WalkOptions &options = {});

} // namespace tally
