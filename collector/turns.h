// The verifying threads, and whose turn it is. Every host has a lane of its own; a lane with work
// stands in the queue once, has one piece of it done, and goes to the queue's end: whoever sends
// much waits for everybody else between any two of its own, and nobody waits for it longer than for
// one piece. A lane is worked by one thread at a time, so what is in it stays in order.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace tally {

class Lane {
public:
    virtual ~Lane() = default;
    // Does one piece of work. Whether there is more: then the lane gets another turn; if not, it
    // must be added again for what comes later.
    virtual bool take_turn() = 0;
};

class Turns {
public:
    // `threads` 0: one for each core that this process may use.
    explicit Turns(unsigned threads = 0);
    ~Turns(); // lanes that still wait are let go undone

    // The lane must not be waiting or worked already.
    void add(std::shared_ptr<Lane> lane);

private:
    void run();

    std::mutex mutex_;
    std::condition_variable waiting_;
    std::deque<std::shared_ptr<Lane>> queue_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

} // namespace tally
