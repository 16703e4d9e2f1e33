// The order of the log: one thread takes verified attestations and explanations, holds each
// attestation against its host's chain and each explanation against the entries that it names,
// appends what fits as one batch, publishes, and only then answers. There is no artificial
// delay: while one batch is written the next gathers, so a busy log pays one fsync for many
// statements.
//
// Per host the newest stream counts: once it has joined, what an older one still brings is turned
// away, so a host that reconnects never races with its own past.
//
// Callbacks run on the sequencer's thread in the order of the calls (once it is stopping: at once,
// on the caller's), and must not block.
#pragma once

#include "attest/admit.h"
#include "attest/explain.h"
#include "base/log.h"
#include "collector/replay.h"
#include "collector/watch.h"
#include "collector/witnesses.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

namespace tally {

// Why an attestation was neither logged nor refused: the collector stops, or a newer stream of the
// host took over. The host connects again and sends it again.
struct TurnedAway {
    std::string reason;
};

class Sequencer {
public:
    struct Welcome {
        uint64_t last_sequence = 0;
        Digest head{}; // of the attestation at last_sequence
        Bytes signing_key;
    };
    using Joined = std::variant<Welcome, TurnedAway>;
    using Verdict = std::variant<pb::Receipt, Breach, TurnedAway>;
    using Receipts = std::variant<std::vector<pb::Receipt>, TurnedAway>;

    // `index_path`: reopened there after an index failure. `stopped` is called, on the sequencer's
    // thread, when an append failed: the log's state is unknown and the program must end.
    // `witnesses`: without enough of their cosignatures on its checkpoint no receipt is given; what
    // was logged stays logged, and the host asks again. Nothing: none are needed. `watch`, if any,
    // is told of what is appended, and outlives this.
    Sequencer(TileLog log, Index index, std::string index_path, Hosts hosts, const Log &lines,
              std::function<void()> stopped, std::unique_ptr<Witnesses> witnesses = nullptr,
              Watch *watch = nullptr);
    ~Sequencer(); // stop()

    // Makes `stream` (any number but 0, never used twice) the host's current one, and proves in its
    // receipts that the log has only grown since the checkpoint of size `known` (0: none).
    void join(std::string host, uint64_t stream, uint64_t known, std::function<void(Joined)> done);
    // An attestation that open_attestation accepted, of the host of `stream`. `done` also learns
    // whether a verdict on a later one of the same stream follows at once: then one message may do.
    using Done = std::function<void(Verdict, bool more)>;
    void submit(std::string host, uint64_t stream, Opened opened, Bytes attestation, Done done);
    // An explanation that open_explanation accepted. What the log holds already gets its receipt.
    void explain(OpenedExplanation said, Bytes entry, std::function<void(Verdict)> done);
    // Receipts for what the log holds of the host from `sequence` on, at most `limit`.
    void receipts(std::string host, uint64_t stream, uint64_t sequence, size_t limit,
                  std::function<void(Receipts)> done);

    // Finishes what is queued, answers it, and ends the thread.
    void stop();

private:
    // Of a thousand busy hosts a few attestations each: much of a batch's cost is by host.
    static constexpr size_t kMaxBatch = 16384;

    struct Join {
        std::string host;
        uint64_t stream;
        uint64_t known;
        std::function<void(Joined)> done;
    };
    struct Submission {
        std::string host;
        uint64_t stream;
        Opened opened;
        Bytes attestation;
        Done done;
        std::optional<std::variant<uint64_t, Breach, TurnedAway>> placed; // uint64_t: leaf index
        bool kept = false; // in the log although refused: the other side of a fork
    };
    struct Explaining {
        OpenedExplanation said;
        Bytes entry;
        std::function<void(Verdict)> done;
        std::optional<std::variant<uint64_t, Breach, TurnedAway>> placed;
        bool fresh = false; // to be appended
    };
    struct Lookup {
        std::string host;
        uint64_t stream;
        uint64_t sequence;
        size_t limit;
        std::function<void(Receipts)> done;
    };
    using Item = std::variant<Join, Submission, Explaining, Lookup>;
    using Batch = std::deque<Item>;

    void put(Item item);
    void run();
    bool take(Batch &batch);
    Status write(Batch &batch);
    Status cosign();
    void place(Submission &submission, uint64_t log_index, Hosts &changed);
    void place(Explaining &explaining, uint64_t log_index, std::map<Digest, uint64_t> &staged);
    bool is_fork(const Opened &opened, const ChainHead &head);
    void hand_on(Batch &batch, uint64_t first);
    Status reopen_index();
    void update_index(const std::vector<IndexRow> &rows, const Hosts &changed);
    void answer(Batch &batch);
    void answer(Item &item, bool more);
    Verdict verdict(const Submission &submission);
    Verdict verdict(const Explaining &explaining);
    Receipts look_up(const Lookup &lookup);
    Result<pb::Receipt> receipt(uint64_t log_index);
    Result<pb::Receipt> receipt(const std::string &host, uint64_t stream, uint64_t sequence,
                                uint64_t log_index);
    Result<std::vector<Digest>> consistency(uint64_t older);
    void turn_away(Item &item, const std::string &reason);

    // The sequencer's thread alone.
    TileLog log_;
    Index index_;
    std::string index_path_;
    bool index_failed_ = false;
    Hosts hosts_;
    struct Current {
        uint64_t stream = 0;
        uint64_t known = 0; // size of the last checkpoint that its host was given
    };
    std::unordered_map<std::string, Current> streams_; // the current one of each host
    // To the log's present size: hosts that were served together ask for the same.
    std::map<uint64_t, std::vector<Digest>> consistency_;
    const Log &lines_;
    std::function<void()> stopped_;
    std::unique_ptr<Witnesses> witnesses_;
    Watch *watch_;
    uint64_t cosigned_ = 0; // the size whose checkpoint has all the cosignatures that it needs

    std::mutex mutex_;
    std::condition_variable waiting_;
    std::deque<Item> queue_;
    bool stopping_ = false;
    bool failed_ = false;
    std::thread thread_;
};

} // namespace tally
