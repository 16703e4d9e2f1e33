// Worker threads for what needs no order: tasks in, futures out.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

namespace tally {

class Pool {
public:
    // 0: as many as the machine has cores.
    explicit Pool(unsigned threads);
    // Waits for tasks that run; those that wait are dropped.
    ~Pool();
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    std::future<void> run(std::function<void()> task);
    size_t threads() const { return threads_.size(); }

private:
    void work();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::packaged_task<void()>> waiting_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

} // namespace tally
