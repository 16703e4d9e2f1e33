// The context-switch log, from bytes to time on the engine.
//
// The buffers here are structures as documented, not recorded from hardware: written byte by byte
// after class/cl90cd.h and class/cl90cdfecs.h of NVIDIA/open-gpu-kernel-modules, by offsets that
// are not taken from the code under test, and in the way of its eventbufferproducer.c.
#include "agent/work/nvidia/fecs_log.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

constexpr uint64_t kBegin = 1'764'000'000'000'000'000; // the GPU's time, ns
constexpr uint8_t kStart = 0x06, kEnd = 0x07;
constexpr uint8_t kWhole = 0xff; // not divided

template <typename Number> void put(std::vector<uint64_t> &words, size_t offset, Number value) {
    auto *bytes = reinterpret_cast<uint8_t *>(words.data());
    for (size_t i = 0; i < sizeof(Number); i++)
        bytes[offset + i] = static_cast<uint8_t>(static_cast<uint64_t>(value) >> (8 * i));
}

struct Instance { // MIG
    uint8_t gpu = kWhole, compute = kWhole;
};

// The driver's side of an event buffer.
class Buffer {
public:
    explicit Buffer(uint32_t capacity) : capacity_(capacity), header_(4), records_(capacity * 4) {}

    void log(uint8_t tag, uint32_t process, uint64_t time, Instance instance = {}) {
        uint16_t number = number_++;
        if ((put_ + 1) % capacity_ == get_) {
            put(header_, 16, ++dropped_); // recordDropcount
            return;
        }
        size_t at = put_ * size_t{32};
        put(records_, at + 0, type); // recordHeader.type
        put(records_, at + 2, uint16_t{0});
        put(records_, at + 4, uint32_t{32}); // varData
        put(records_, at + 8, tag);
        put(records_, at + 9, uint8_t{0});                // vmid
        put(records_, at + 10, number);                   // seqno
        put(records_, at + 12, uint32_t{process + 1000}); // context_id
        put(records_, at + 16, process);                  // pid
        put(records_, at + 20, uint16_t{0});              // reserved0
        put(records_, at + 22, instance.gpu);             // migGpuInstanceId
        put(records_, at + 23, instance.compute);         // migComputeInstanceId
        put(records_, at + 24, time);                     // timestamp
        put_ = (put_ + 1) % capacity_;
        put(header_, 4, put_); // recordPut
    }
    void skip(uint16_t numbers) { number_ = static_cast<uint16_t>(number_ + numbers); }
    // NV_EVENT_BUFFER_CTRL_CMD_UPDATE_GET
    void update_get(uint32_t get) {
        get_ = get;
        put(header_, 0, get_);
        dropped_ = 0;
        put(header_, 16, dropped_);
    }
    void set_put(uint32_t put_to) { put(header_, 4, put_to); }

    Result<FecsTail> read() {
        auto tail =
            read_fecs(reinterpret_cast<const FecsHeader *>(header_.data()),
                      reinterpret_cast<const FecsRecord *>(records_.data()), capacity_, next_);
        if (tail) {
            next_ = tail->next;
            update_get(next_);
        }
        return tail;
    }

    uint16_t type = 2; // NV_EVENT_BUFFER_RECORD_TYPE_FECS_CTX_SWITCH_V2

private:
    uint32_t capacity_, get_ = 0, put_ = 0, next_ = 0;
    uint64_t dropped_ = 0;
    uint16_t number_ = 0;
    std::vector<uint64_t> header_, records_;
};

class FecsLog : public testing::Test {
protected:
    void start(uint32_t process, uint64_t at, Instance instance = {}) {
        buffer_.log(kStart, process, kBegin + at, instance);
    }
    void end(uint32_t process, uint64_t at, Instance instance = {}) {
        buffer_.log(kEnd, process, kBegin + at, instance);
    }
    FecsTaken take(uint64_t now) {
        auto tail = buffer_.read();
        EXPECT_TRUE(tail) << tail.error().message;
        account_.add(*tail, kBegin + now);
        return account_.take();
    }
    static void expect_no_doubt(const FecsTaken &taken) {
        EXPECT_EQ(taken.dropped, 0U);
        EXPECT_EQ(taken.rejected, 0U);
        EXPECT_EQ(taken.uncertain, 0U);
    }
    Buffer buffer_{64};
    FecsAccount account_{kBegin};
};

TEST_F(FecsLog, TwoProcessesThatAlternateHaveTheirTimeToTheNanosecond) {
    for (uint64_t turn = 0; turn < 5; turn++) {
        start(100, turn * 1000 + 1);
        end(100, turn * 1000 + 400);
        start(200, turn * 1000 + 450);
        end(200, turn * 1000 + 999);
    }
    FecsTaken taken = take(6000);
    EXPECT_EQ(taken.uses.size(), 2U);
    EXPECT_EQ((taken.uses[{100, kWhole, kWhole}].busy_ns), 5 * 399U);
    EXPECT_EQ((taken.uses[{200, kWhole, kWhole}].busy_ns), 5 * 549U);
    EXPECT_EQ((taken.uses[{200, kWhole, kWhole}].switches), 5U);
    expect_no_doubt(taken);
    EXPECT_TRUE(take(7000).uses.empty()) << "nothing more was logged";
}

TEST_F(FecsLog, WindowsOfARunAddUpToIt) {
    start(100, 10);
    uint64_t sum = 0;
    for (uint64_t now : {1000, 2500, 2500, 4000}) {
        FecsTaken taken = take(now);
        expect_no_doubt(taken);
        sum += taken.uses[{100, kWhole, kWhole}].busy_ns;
        EXPECT_EQ(sum, now - 10);
    }
    end(100, 4321);
    start(200, 4400);
    FecsTaken last = take(5000);
    sum += last.uses[{100, kWhole, kWhole}].busy_ns;
    EXPECT_EQ(sum, 4321U - 10);
    EXPECT_EQ((last.uses[{200, kWhole, kWhole}].busy_ns), 600U);
}

TEST_F(FecsLog, AnEndThatComesLateTakesBackWhatWasToldTooMuch) {
    start(100, 0);
    EXPECT_EQ((take(1000).uses[{100, kWhole, kWhole}].busy_ns), 1000U);
    end(100, 900); // logged before, fetched after
    EXPECT_TRUE(take(2000).uses.empty());
    start(100, 2000);
    end(100, 2500);
    EXPECT_EQ((take(3000).uses[{100, kWhole, kWhole}].busy_ns), 400U) << "900 + 500 in all";
}

TEST_F(FecsLog, InstancesOfADividedGpuRunAtOnce) {
    Instance first{1, 0}, second{2, 0};
    start(100, 0, first);
    start(200, 100, second);
    end(100, 1000, first);
    end(200, 1500, second);
    start(100, 1600, second); // the same process on the other instance
    FecsTaken taken = take(2000);
    EXPECT_EQ((taken.uses[{100, 1, 0}].busy_ns), 1000U);
    EXPECT_EQ((taken.uses[{200, 2, 0}].busy_ns), 1400U);
    EXPECT_EQ((taken.uses[{100, 2, 0}].busy_ns), 400U);
    expect_no_doubt(taken);
}

TEST_F(FecsLog, WhatFindsTheBufferFullIsCountedOnce) {
    for (uint64_t i = 0; i < 50; i++) { // 100 records, of which 63 fit
        start(100, i * 100);
        end(100, i * 100 + 50);
    }
    FecsTaken taken = take(5000);
    EXPECT_EQ(taken.dropped, 37U);
    EXPECT_EQ((taken.uses[{100, kWhole, kWhole}].switches), 32U);
    EXPECT_EQ((taken.uses[{100, kWhole, kWhole}].busy_ns), 31 * 50U + (5000 - 3100))
        << "the last end was lost: it still runs, as far as the log goes";
    start(200, 6000); // its number skips the 37, too
    taken = take(7000);
    EXPECT_EQ(taken.dropped, 0U);
    EXPECT_EQ(taken.uncertain, 1U);
    EXPECT_EQ((taken.uses[{100, kWhole, kWhole}].busy_ns), 1000U);
    EXPECT_EQ((taken.uses[{200, kWhole, kWhole}].busy_ns), 1000U);
}

TEST_F(FecsLog, WhatTheHardwareLostIsMissingInTheNumbers) {
    start(100, 0);
    buffer_.skip(3); // end 100, start 200, end 200
    start(100, 1000);
    end(100, 1100);
    buffer_.skip(1); // start 300
    end(300, 1300);
    FecsTaken taken = take(2000);
    EXPECT_EQ(taken.dropped, 4U);
    EXPECT_EQ(taken.uncertain, 2U) << "a run without an end, and an end without a start";
    EXPECT_EQ((taken.uses[{100, kWhole, kWhole}].busy_ns), 1100U) << "up to where the next began";
    EXPECT_FALSE(taken.uses.contains({300, kWhole, kWhole}));
}

TEST_F(FecsLog, NumbersBeginAnewWithoutALoss) {
    buffer_.skip(65530);
    uint64_t busy = 0;
    for (uint64_t i = 0; i < 10; i++) {
        start(100, i * 100);
        end(100, i * 100 + 1);
        busy++;
    }
    FecsTaken taken = take(5000);
    EXPECT_EQ((taken.uses[{100, kWhole, kWhole}].busy_ns), busy);
    expect_no_doubt(taken);
}

TEST_F(FecsLog, MoreLossesThanThereAreNumbersAreAllCounted) {
    for (uint32_t i = 0; i < 63 + 70'000; i++)
        start(100, i);
    EXPECT_EQ(take(100'000).dropped, 70'000U);
    buffer_.skip(5);
    start(200, 100'000);
    EXPECT_EQ(take(200'000).dropped, 5U) << "70,000 of the gap were told before";
}

TEST_F(FecsLog, GarbageIsRejectedAndTheRestIsRead) {
    start(100, 0);
    buffer_.type = 134; // another type of record
    start(200, 10);
    buffer_.type = 2;
    buffer_.log(0x05, 200, kBegin + 20);            // a tag that users do not get
    buffer_.log(kStart, 200, 0);                    // before logging began
    buffer_.log(kEnd, 100, UINT64_MAX);             // after all time
    buffer_.log(kEnd, 100, kBegin + 3'000'000'000); // after now
    buffer_.skip(65533);                            // three back
    end(100, 50);
    buffer_.skip(2);
    end(100, 100);
    FecsTaken taken = take(2000);
    EXPECT_EQ(taken.rejected, 6U);
    EXPECT_EQ(taken.dropped, 3U) << "the other type's number, and two after the one out of order";
    EXPECT_EQ((taken.uses[{100, kWhole, kWhole}].busy_ns), 100U);
    EXPECT_EQ(taken.uses.size(), 1U);
}

TEST_F(FecsLog, ARunIsNotShorterThanNone) {
    start(100, 500);
    end(100, 400);
    FecsTaken taken = take(1000);
    EXPECT_EQ((taken.uses[{100, kWhole, kWhole}].busy_ns), 0U);
    EXPECT_EQ(taken.uncertain, 1U);
    start(100, 1000);
    EXPECT_EQ((take(1010).uses[{100, kWhole, kWhole}].busy_ns), 10U);
}

TEST_F(FecsLog, WhoIsHiddenRunsWithoutAName) {
    start(0, 0);
    end(0, 10);
    start(UINT32_MAX, 20); // the kernel's own
    end(UINT32_MAX, 50);
    FecsTaken taken = take(100);
    EXPECT_EQ((taken.uses[{kFecsHidden, kWhole, kWhole}].busy_ns), 40U);
    EXPECT_EQ(taken.uses.size(), 1U);
}

TEST_F(FecsLog, AnEndOfAnotherEndsTheRunAllTheSame) {
    start(100, 0);
    end(UINT32_MAX, 70); // its channel was gone when the driver looked for the name
    FecsTaken taken = take(1000);
    EXPECT_EQ((taken.uses[{100, kWhole, kWhole}].busy_ns), 70U);
    EXPECT_EQ(taken.uncertain, 1U);
}

TEST_F(FecsLog, ABufferThatWrapsIsReadInOrder) {
    uint64_t sum = 0, at = 0;
    for (int reading = 0; reading < 10; reading++) {
        for (int i = 0; i < 20; i++) {
            start(100, at += 10);
            end(100, at += 7);
        }
        FecsTaken taken = take(at);
        expect_no_doubt(taken);
        sum += taken.uses[{100, kWhole, kWhole}].busy_ns;
    }
    EXPECT_EQ(sum, 10 * 20 * 7U);
}

TEST_F(FecsLog, BoundsThatCannotBeAreRefused) {
    buffer_.set_put(64);
    auto past = buffer_.read();
    ASSERT_FALSE(past) << "put is past the buffer's end";
    EXPECT_EQ(past.error().message, "the context-switch log says that it goes from record 0 to 64 "
                                    "of 64, and was read up to 0");
    buffer_.set_put(UINT32_MAX);
    EXPECT_FALSE(buffer_.read());
    buffer_.set_put(3);
    buffer_.update_get(2);
    EXPECT_FALSE(buffer_.read()) << "somebody else moved get: records may have been overwritten";
}

} // namespace
} // namespace tally
