#include "agent/work/nvidia/fecs_log.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

namespace tally {

namespace {

// How far the GPU's time, as told by the driver, may be from that of a record.
constexpr uint64_t kLeeway = 1'000'000'000;
constexpr uint64_t kNumbers = 65536; // of records, before they begin anew

// The driver may write while we read.
template <typename Number> Number load(const Number &at) {
    return std::atomic_ref<Number>(const_cast<Number &>(at)).load(std::memory_order_acquire);
}

FecsUser user_of(const FecsRecord &record) {
    bool told = record.process != kFecsKernel;
    return {told ? record.process : kFecsHidden, record.gpu_instance, record.compute_instance};
}

} // namespace

Result<FecsTail> read_fecs(const FecsHeader *header, const FecsRecord *records, uint32_t capacity,
                           uint32_t next) {
    uint64_t dropped = load(header->dropped);
    uint32_t put = load(header->put);
    uint32_t get = load(header->get);
    if (put >= capacity || get != next)
        return Error{"the context-switch log says that it goes from record " + std::to_string(get) +
                     " to " + std::to_string(put) + " of " + std::to_string(capacity) +
                     ", and was read up to " + std::to_string(next)};
    FecsTail tail;
    tail.dropped = dropped;
    tail.next = put;
    if (next <= put) {
        tail.records.assign(records + next, records + put);
    } else {
        tail.records.assign(records + next, records + capacity);
        tail.records.insert(tail.records.end(), records, records + put);
    }
    return tail;
}

void FecsAccount::add(const FecsTail &tail, uint64_t now_ns) {
    for (const FecsRecord &record : tail.records)
        see(record, now_ns);
    taken_.dropped += tail.dropped;
    told_full_ += tail.dropped;
    for (auto &[engine, run] : engines_) {
        if (run && run->told_ns < now_ns)
            count(*run, now_ns);
    }
}

FecsTaken FecsAccount::take() {
    FecsTaken taken = std::exchange(taken_, {});
    for (auto &[user, busy] : busy_) {
        if (busy > 0)
            taken.uses[user].busy_ns = static_cast<uint64_t>(std::exchange(busy, 0));
    }
    std::erase_if(busy_, [](const auto &each) { return each.second == 0; });
    return taken;
}

void FecsAccount::see(const FecsRecord &record, uint64_t now_ns) {
    if (record.type != kFecsRecordV2) {
        taken_.rejected++;
        return;
    }
    Engine engine{record.gpu_instance, record.compute_instance};
    bool sequence = in_sequence(record, !engines_.contains(engine));
    bool known = record.tag == kFecsStart || record.tag == kFecsEnd;
    bool timely = record.time_ns + kLeeway >= since_ns_ && record.time_ns <= now_ns + kLeeway &&
                  record.time_ns <= UINT64_MAX - kLeeway;
    if (!sequence || !known || !timely) {
        taken_.rejected++;
        return;
    }
    if (record.tag == kFecsStart)
        start(engine, record);
    else
        end(engine, record);
}

// Counts what is missing before it. What was lost before an engine's first record is not known: the
// driver counts from zero when logging begins, whatever the hardware's numbers are then.
bool FecsAccount::in_sequence(const FecsRecord &record, bool first_of_engine) {
    auto gap = static_cast<uint16_t>(record.number - expected_);
    expected_ = static_cast<uint16_t>(record.number + 1);
    uint64_t told = std::exchange(told_full_, 0);
    if (!std::exchange(numbered_, true))
        return true;
    if (gap >= kNumbers / 2 && told < kNumbers / 2) {
        told_full_ = told;
        return false; // a number that was there before
    }
    // The gap is the loss without whole rounds of the numbers; those that were told are among it.
    uint64_t lost = gap;
    if (lost < told)
        lost += (told - lost + kNumbers - 1) / kNumbers * kNumbers;
    if (!first_of_engine || told > 0)
        taken_.dropped += lost - told;
    return true;
}

void FecsAccount::start(const Engine &engine, const FecsRecord &record) {
    std::optional<Run> &run = engines_[engine];
    if (run) { // its end was lost
        taken_.uncertain++;
        count(*run, record.time_ns);
    }
    run = Run{user_of(record), record.context, record.time_ns, record.time_ns};
    taken_.uses[run->user].switches++;
}

void FecsAccount::end(const Engine &engine, const FecsRecord &record) {
    std::optional<Run> &run = engines_[engine];
    if (!run) { // ran before logging began, or its start was lost
        taken_.uncertain++;
        return;
    }
    // Whoever it names, what was on the engine went off it.
    if (run->user != user_of(record) || run->context != record.context)
        taken_.uncertain++;
    count(*run, record.time_ns);
    run.reset();
}

void FecsAccount::count(Run &run, uint64_t until_ns) {
    if (until_ns < run.start_ns) { // no run is shorter than none
        taken_.uncertain++;
        until_ns = run.start_ns;
    }
    busy_[run.user] += static_cast<int64_t>(until_ns - run.told_ns);
    run.told_ns = until_ns;
}

} // namespace tally
