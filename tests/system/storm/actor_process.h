// An actor from within: its life is in actor.cc, what it can do in operations.cc.
#pragma once

#include "tests/system/lab.h"
#include "tests/system/storm/actor.h"

namespace tally::storm {

class ActorProcess {
public:
    ActorProcess(Journal &journal, uint32_t self) : journal_(journal), self_(self) {}

    void be_born();
    [[noreturn]] void live();

private:
    using Operation = void (ActorProcess::*)();
    struct Choice {
        unsigned weight;
        Operation operation; // null: nothing
    };
    Actor &me() { return journal_.actor[self_]; }
    uint64_t random(uint64_t limit) { return below(me().random, limit); }
    Slot *free_slot();
    Slot *held_slot(); // a random one in use, or null
    template <typename Call> auto timed(Record &record, Call call);
    void keep(Slot &slot, const Record &record, int fd);
    void keep_found(Record &record, uint64_t after, int fd);

    void open_file();
    void copy();
    void close_file();
    void send();
    void receive();
    void discard();
    void take();
    void migrate();
    void fork_child();
    void execute();
    void leave();

    // Weights of a thousand.
    static constexpr Choice kEmptyHanded[] = {
        {50, &ActorProcess::open_file},
        {40, &ActorProcess::receive},
        {10, &ActorProcess::take},
        {5, &ActorProcess::discard},
        {6, &ActorProcess::migrate},
        {25, &ActorProcess::fork_child},
        {3, &ActorProcess::execute},
        {8, &ActorProcess::leave},
        {853, nullptr},
    };
    static constexpr Choice kHolding[] = {
        {470, &ActorProcess::close_file},
        {50, &ActorProcess::open_file},
        {70, &ActorProcess::copy},
        {90, &ActorProcess::send},
        {30, &ActorProcess::receive},
        {20, &ActorProcess::take},
        {20, &ActorProcess::migrate},
        {50, &ActorProcess::fork_child},
        {20, &ActorProcess::execute},
        {40, &ActorProcess::leave},
        {140, nullptr},
    };

    Journal &journal_;
    uint32_t self_;
    uint64_t after_ = 0; // of the call that timed() made last
};

// The clock is read as close to the call as can be; whatever is learnt from it is written before
// `after`, which says that the record is complete.
template <typename Call> auto ActorProcess::timed(Record &record, Call call) {
    record.before.store(boottime_ns());
    auto result = call();
    after_ = boottime_ns();
    return result;
}

} // namespace tally::storm
