// The host's check of a receipt, before the spool lets go: the attestation's leaf hash, its
// inclusion proof, and the checkpoint's signature.
#pragma once

#include "attest/checkpoint.h"
#include "attest/ledger.pb.h"

namespace tally {

namespace pb = tallystick::v1;

// The verified checkpoint, or an error that says which step failed.
Result<Checkpoint> check_receipt(const pb::Receipt &receipt, const Digest &leaf,
                                 const std::vector<NoteKey> &keys);

// Its second step alone, against a checkpoint that open_checkpoint has verified before: a batch of
// receipts repeats one checkpoint, and each signature check costs the host 2 ms.
Status check_inclusion(const pb::Receipt &receipt, const Digest &leaf,
                       const Checkpoint &checkpoint);

// Whether `next`, which the receipt brings, is a later state of the log that `known` is one of:
// the same root at the same size, or a larger size and the receipt's proof of it. Any state follows
// the empty log.
Status check_extends(const pb::Receipt &receipt, const Checkpoint &known, const Checkpoint &next);

} // namespace tally
