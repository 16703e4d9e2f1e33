// A C2SP tlog-witness: cosigns a log's checkpoint if the log has only grown since the one it
// cosigned last, and so makes it impossible to show two histories to two people. It knows nothing
// of what is in the log.
//
//   POST <prefix>/add-checkpoint      "old " <size> LF, at most 63 lines of base64 consistency
//                                     proof, an empty line, the checkpoint
//   200  cosignature lines            403  not signed by the log's keys
//   400  malformed, or old > size     404  another origin than the logs it watches
//   409  old is not what it cosigned last (text/x.tlog.size: that size), or two roots of one size
//   422  the proof is wrong
//
//   <state>/<hex SHA-256 of the origin>    the last checkpoint it cosigned: replaced, durably,
//                                          before the answer leaves
#pragma once

#include "attest/cosignature.h"
#include "base/fd.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tally {

class Witness {
public:
    static constexpr size_t kMostProof = 63;
    static constexpr size_t kMostRequest = 128 << 10;

    // `logs`: the keys of each log, all of which must have signed a checkpoint. The directory is
    // made if it is not there, and locked.
    static Result<Witness> open(const std::string &directory, NoteSigner signer,
                                const std::vector<std::vector<NoteKey>> &logs);

    struct Answer {
        unsigned status = 0;
        std::string type;
        std::string body;
    };
    // The whole exchange; `seconds` is the time of the cosignature. An error means that the state
    // could not be written: answer 500 and cosign nothing.
    Result<Answer> add_checkpoint(std::string_view request, uint64_t seconds);

    std::string vkey() const;

private:
    struct Log {
        std::vector<NoteKey> keys;
        std::string path;
        Checkpoint last; // size 0: none yet
    };
    Witness(NoteSigner signer, WitnessKey key) : signer_(std::move(signer)), key_(std::move(key)) {}

    NoteSigner signer_;
    WitnessKey key_;
    Fd lock_;
    std::map<std::string, Log, std::less<>> logs_; // by origin
};

} // namespace tally
