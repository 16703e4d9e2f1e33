// What an auditor will find in the log, found as it arrives: the same rules (findings/), run behind
// the sequencer in a thread of its own, so that no host waits for them. What is new is a line of
// log, and all of it is in the index.
//
// Rules judge a statement by all that its host said before, so at start the log is gone through
// from its beginning, while the collector serves already; until that has caught up the index says
// what was found before. Signatures are not verified again: the log holds only what was.
#pragma once

#include "base/log.h"
#include "collector/index.h"
#include "collector/judge.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace tally {

class Watch {
public:
    using Clock = std::chrono::steady_clock;

    // The log in `directory` has `size` entries. Findings are brought up to date every `pause`.
    Watch(std::string directory, uint64_t size, std::string index_path, const Log &lines,
          Clock::duration pause = std::chrono::seconds(5));
    ~Watch(); // brings them up to date once more, if it has caught up

    // What was appended to the log, in order. Never waits: what does not fit is read from the log.
    struct Arrival {
        uint64_t log_index = 0;
        size_t bytes = 0; // of the attestation
        OpenedEntry opened;
    };
    void appended(std::vector<Arrival> arrivals);

private:
    static constexpr size_t kMost = 16384; // arrivals that wait, and their bytes
    static constexpr size_t kMostBytes = 16U << 20;

    void run();
    bool judge_some();
    void complain(const Error &error);
    Status read_some(uint64_t size);
    bool catching_up() const { return judge_.size() < began_with_; }
    void publish();

    const std::string directory_;
    const uint64_t began_with_;
    const std::string index_path_;
    const Log &lines_;
    const Clock::duration pause_;

    // The thread's alone.
    Judge judge_;
    std::optional<FindingRows> published_;
    uint64_t published_size_ = 0;
    bool failing_ = false;
    bool stuck_ = false; // until the next pause is over

    std::mutex mutex_;
    std::condition_variable waiting_;
    uint64_t size_;
    std::deque<Arrival> arrivals_;
    size_t bytes_ = 0;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace tally
