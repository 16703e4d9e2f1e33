// The log on disk: a C2SP tlog-tiles directory and its signed checkpoint (attest/layout.h says what
// lies where). An append is durable and published when it returns; start-up is recovery, always.
//
//   append    write tiles and entry bundles, fsync files and directories
//             read the right edge back and compare its root with memory's
//             sign the checkpoint, replace it, fsync; only now may anybody be told
//   open      verify the checkpoint with our own keys, rebuild the right edge from its tiles
//             remove what lies beyond the checkpoint: it was never acknowledged
#pragma once

#include "attest/checkpoint.h"
#include "collector/edge.h"

#include <map>
#include <span>
#include <string>
#include <vector>

namespace tally {

class TileLog {
public:
    // Opens the log in `directory`, or publishes an empty one where nothing is. The signers' common
    // name is the origin. `at_least`: a size that is known to have been published; a smaller
    // checkpoint means that the log was rolled back, which is an error. Every error names the file.
    static Result<TileLog> open(std::string directory, std::vector<NoteSigner> signers,
                                uint64_t at_least);

    // Appends and publishes. After an error the state of the log is unknown: stop, and open again.
    Status append(std::span<const ByteView> entries);

    // Adds lines to the published checkpoint: witnesses' cosignatures of it.
    Status add_signatures(const std::string &lines);

    uint64_t size() const { return edge_.size(); }
    const std::string &origin() const { return signers_.front().name; }
    // The signed note that is published now.
    const std::string &checkpoint() const { return checkpoint_; }
    // Paths below the directory that belong to no log; found at open, left alone.
    const std::vector<std::string> &foreign() const { return foreign_; }

    // RFC 6962 inclusion proof at the present size.
    Result<std::vector<Digest>> inclusion(uint64_t index);
    // RFC 6962 consistency proof from `older` leaves, 1 to the present size, to the present size.
    Result<std::vector<Digest>> consistency(uint64_t older);
    // The root when the log had `size` leaves, at most the present size.
    Result<Digest> root_at(uint64_t size);
    // The entries from number bundle * kTileWidth on, at most kTileWidth, held against their
    // hashes.
    Result<std::vector<Bytes>> entries(uint64_t bundle) const;

private:
    TileLog(std::string directory, std::vector<NoteSigner> signers);
    Status recover(uint64_t at_least);
    Status publish();
    Result<Digest> hash(unsigned level, uint64_t position);

    std::string directory_;
    std::vector<NoteSigner> signers_;
    std::string checkpoint_;
    std::vector<std::string> foreign_;
    Edge edge_;
    Bytes bundle_;         // the entry bundle that is not full yet
    EdgeRoots edge_roots_; // at the present size
    // Full tiles read or written last, by level and index.
    std::map<std::pair<unsigned, uint64_t>, TileTree> cache_;
};

} // namespace tally
