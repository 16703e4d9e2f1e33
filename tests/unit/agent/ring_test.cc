// Ring time by the GPU scheduler's events. The traces are of documented events, not recorded from
// hardware: what gpu_scheduler_trace.h tells of a job, in the order in which sched_main.c tells it.
#include "bpf/work/ring.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <vector>

namespace tally {
namespace {

constexpr uint64_t kMs = 1'000'000;

// What the programs do with these events, without the kernel's maps.
class Ring : public testing::Test {
protected:
    void queue(int fence, uint64_t workload) { jobs_[fence] = {workload, 0, 0, 0}; }
    void run(int fence, uint64_t ms) { ring_run(&ring_, &jobs_[fence], 1, ms * kMs); }
    void done(int fence, uint64_t ms) {
        credit(jobs_[fence], ms);
        ring_done(&ring_, &jobs_[fence]);
        jobs_.erase(fence);
    }
    void settle(uint64_t ms) {
        for (const auto &[fence, job] : jobs_) {
            if (job.ring != 0 && ring_is_at(&ring_, &job))
                credit(job, ms);
        }
    }
    void credit(const work_job &job, uint64_t ms) {
        __u64 begin = 0;
        uint64_t taken = ring_take(&ring_, &job, ms * kMs, &begin);
        if (taken > 0)
            add_busy(&busy_[job.workload], begin, taken);
    }
    uint64_t busy_ms(uint64_t workload) { return busy_[workload].busy_ns / kMs; }

    work_ring ring_ = {};
    std::map<int, work_job> jobs_;
    std::map<uint64_t, work_busy> busy_;
};

TEST_F(Ring, AJobStartsWhenTheOneBeforeItEnds) {
    queue(1, 7);
    run(1, 100);
    queue(2, 8);
    run(2, 110); // behind the first in the hardware's queue
    queue(3, 7);
    done(1, 150);
    run(3, 151);
    done(2, 180);
    done(3, 200);
    queue(4, 8);
    run(4, 300); // the ring was idle
    done(4, 325);
    EXPECT_EQ(busy_ms(7), 50U + 20U);
    EXPECT_EQ(busy_ms(8), 30U + 25U);
}

TEST_F(Ring, WindowsTile) {
    queue(1, 7);
    queue(2, 8);
    run(1, 900);
    run(2, 901);
    settle(1000);
    EXPECT_EQ(busy_ms(7), 100U);
    EXPECT_EQ(busy_ms(8), 0U) << "it waits behind the first";
    settle(2000);
    EXPECT_EQ(busy_ms(7), 1100U);
    done(1, 2300);
    settle(3000);
    EXPECT_EQ(busy_ms(8), 700U);
    done(2, 3300);
    settle(4000);
    EXPECT_EQ(busy_ms(7), 1400U);
    EXPECT_EQ(busy_ms(8), 1000U);
    EXPECT_EQ(busy_[7].activity.active_seconds, 3U) << "the first three of CLOCK_BOOTTIME";
    EXPECT_EQ(busy_[8].activity.active_seconds, 2U);
}

TEST_F(Ring, AJobThatNeverEndsIsBusyUntilItIsOvertaken) {
    queue(1, 7);
    run(1, 0);
    settle(1000);
    queue(2, 8);
    run(2, 1100);
    done(2, 1500); // as after a reset
    settle(2000);
    EXPECT_EQ(busy_ms(7), 1000U);
    EXPECT_EQ(busy_ms(8), 400U);
    settle(3000);
    EXPECT_EQ(busy_ms(7) + busy_ms(8), 1400U) << "nobody has the ring";
}

TEST_F(Ring, NoTimeIsGivenTwiceHoweverEventsCome) {
    std::mt19937_64 random(8);
    for (int round = 0; round < 300; round++) {
        ring_ = {};
        jobs_.clear();
        busy_.clear();
        uint64_t ms = 1000;
        std::vector<int> flying;
        for (int event = 0; event < 200; event++) {
            ms += random() % 20;
            switch (random() % 4) {
            case 0:
                queue(event, 1 + random() % 3);
                run(event, ms);
                flying.push_back(event);
                break;
            case 1: // mostly in order
                if (!flying.empty()) {
                    size_t which = random() % 8 == 0 ? random() % flying.size() : 0;
                    // An event may tell of an earlier time than the one before it, of another CPU.
                    done(flying[which], ms - random() % 3);
                    flying.erase(flying.begin() + static_cast<long>(which));
                }
                break;
            case 2:
                settle(ms);
                break;
            default: // lost
                if (!flying.empty() && random() % 8 == 0) {
                    jobs_.erase(flying[0]);
                    flying.erase(flying.begin());
                }
            }
            uint64_t sum = busy_ms(1) + busy_ms(2) + busy_ms(3);
            ASSERT_LE(sum, ms - 1000) << "round " << round;
            for (auto &[workload, busy] : busy_)
                ASSERT_LE(busy.activity.active_seconds, ms / 1000 - 1 + 1);
        }
    }
}

} // namespace
} // namespace tally
