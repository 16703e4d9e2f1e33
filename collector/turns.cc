#include "collector/turns.h"

#include <algorithm>
#include <sched.h>

namespace tally {

namespace {

// Not hardware_concurrency(), which counts what other processes have to themselves too.
unsigned allowed_cpus() {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
        return std::max(1U, std::thread::hardware_concurrency());
    return static_cast<unsigned>(std::max(1, CPU_COUNT(&cpus)));
}

} // namespace

Turns::Turns(unsigned threads) {
    if (threads == 0)
        threads = allowed_cpus();
    for (unsigned i = 0; i < threads; ++i)
        threads_.emplace_back([this] { run(); });
}

Turns::~Turns() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    waiting_.notify_all();
    for (std::thread &thread : threads_)
        thread.join();
}

void Turns::add(std::shared_ptr<Lane> lane) {
    {
        std::lock_guard lock(mutex_);
        queue_.push_back(std::move(lane));
    }
    waiting_.notify_one();
}

void Turns::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        waiting_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (stopping_)
            return;
        std::shared_ptr<Lane> lane = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        bool more = lane->take_turn();
        lock.lock();
        if (more) {
            queue_.push_back(std::move(lane));
            continue;
        }
        lock.unlock();
        lane.reset(); // perhaps the last reference, whose end must not hold this lock
        lock.lock();
    }
}

} // namespace tally
