#include "attest/receipt.h"

#include "attest/merkle.h"

#include <algorithm>

namespace tally {

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
    constexpr int kDeepest = 64; // more siblings than a tree of 2^64 leaves could have
    if (receipt.proof_size() > kDeepest)
        return Error{"inclusion proof: too long"};
    std::vector<Digest> proof(static_cast<size_t>(receipt.proof_size()));
    for (int i = 0; i < receipt.proof_size(); i++) {
        const std::string &hash = receipt.proof(i);
        Digest &sibling = proof[static_cast<size_t>(i)];
        if (hash.size() != sibling.size())
            return Error{"inclusion proof: a hash is not 32 bytes long"};
        std::copy(hash.begin(), hash.end(), sibling.begin());
    }
    if (auto included =
            verify_inclusion(leaf, receipt.index(), checkpoint.size, proof, checkpoint.root);
        !included)
        return Error{"inclusion proof: " + included.error().message};
    return ok();
}

} // namespace tally
