// NVML on a thread of its own. The agent has one thread, which must record whatever else happens,
// and a call of NVML ends only when a sick driver answers. So the agent leaves a question here and
// comes by for the answer a second later; what hangs, hangs here.
#pragma once

#include "agent/work/nvidia/nvml_reader.h"

#include <memory>
#include <pthread.h>

namespace tally {

class NvmlThread {
public:
    explicit NvmlThread(std::string library);
    ~NvmlThread(); // leaves a thread that hangs behind, with what it holds
    NvmlThread(const NvmlThread &) = delete;
    NvmlThread &operator=(const NvmlThread &) = delete;

    // Asks for a reading, unless the question before has no answer yet; opens the library first.
    void ask(const NvmlWanted &wanted, uint64_t boottime_ns);
    // Nothing is held any more: the library is closed, and the thread ends.
    void let_go();
    // What came since the last call.
    std::vector<NvmlReading> take();
    // Why there are no readings; empty: there are.
    std::string absence(uint64_t boottime_ns) const;

private:
    struct Desk;
    static void *serve(void *handed);
    void start();

    std::shared_ptr<Desk> desk_;
    pthread_t thread_ = {};
    bool started_ = false;
};

} // namespace tally
