#include "attest/receipt.h"

#include "attest/merkle.h"

#include <algorithm>

namespace tally {

namespace {

using Hashes = google::protobuf::RepeatedPtrField<std::string>;

Result<std::vector<Digest>> digests_of(const Hashes &hashes) {
    constexpr int kMost = 65; // what a tree of 2^64 leaves could need
    if (hashes.size() > kMost)
        return Error{"too long"};
    std::vector<Digest> digests(static_cast<size_t>(hashes.size()));
    for (int i = 0; i < hashes.size(); i++) {
        Digest &digest = digests[static_cast<size_t>(i)];
        if (hashes[i].size() != digest.size())
            return Error{"a hash is not 32 bytes long"};
        std::copy(hashes[i].begin(), hashes[i].end(), digest.begin());
    }
    return digests;
}

} // namespace

Result<Checkpoint> check_receipt(const pb::Receipt &receipt, const Digest &leaf,
                                 const std::vector<NoteKey> &keys) {
    auto checkpoint = open_checkpoint(receipt.checkpoint(), keys);
    if (!checkpoint)
        return Error{"checkpoint: " + checkpoint.error().message};
    TALLY_TRY(check_inclusion(receipt, leaf, *checkpoint));
    return checkpoint;
}

Status check_inclusion(const pb::Receipt &receipt, const Digest &leaf,
                       const Checkpoint &checkpoint) {
    auto proof = digests_of(receipt.proof());
    if (!proof)
        return Error{"inclusion proof: " + proof.error().message};
    if (auto included =
            verify_inclusion(leaf, receipt.index(), checkpoint.size, *proof, checkpoint.root);
        !included)
        return Error{"inclusion proof: " + included.error().message};
    return ok();
}

Status check_extends(const pb::Receipt &receipt, const Checkpoint &known, const Checkpoint &next) {
    if (known.size == 0)
        return ok();
    if (next.size < known.size)
        return Error{"it is older"};
    if (next.size == known.size)
        return next.root == known.root ? ok() : Status(Error{"the same size, another root"});
    auto proof = digests_of(receipt.consistency());
    if (!proof)
        return Error{"consistency proof: " + proof.error().message};
    if (auto consistent = verify_consistency(known.size, next.size, *proof, known.root, next.root);
        !consistent)
        return Error{"consistency proof: " + consistent.error().message};
    return ok();
}

} // namespace tally
