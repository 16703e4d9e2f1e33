#include "tests/system/storm/actor.h"

#include "base/fd.h"
#include "tests/system/storm/actor_process.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace tally::storm {

namespace {
constexpr const char *kExecuted = "--storm-actor";
} // namespace

void ActorProcess::be_born() {
    Record &born = add_record(journal_, Kind::kBorn, self_);
    uint64_t at = boottime_ns();
    born.done = 1;
    born.before.store(at);
    born.after.store(at);
    prctl(PR_SET_PDEATHSIG, SIGKILL); // of the director
    uint32_t alive = journal_.alive.fetch_add(1) + 1;
    uint32_t most = journal_.most_alive.load();
    while (alive > most && !journal_.most_alive.compare_exchange_weak(most, alive)) {
    }
    me().pid.store(getpid());
}

// Workloads differ: some do a thing every few milliseconds, some every few seconds. Scans see only
// the slow ones well, and only the fast ones have many edges.
void ActorProcess::live() {
    constexpr unsigned kTempo[] = {30, 60, 120, 250, 500, 1000, 2000, 3000};
    for (;;) {
        unsigned tempo = kTempo[me().cgroup.load() % std::size(kTempo)];
        sleep_ms(static_cast<unsigned>(random(2ULL * tempo * journal_.pace.load() / 100)));
        bool holding = held_slot() != nullptr;
        const Choice *choice = holding ? kHolding : kEmptyHanded;
        auto at = static_cast<unsigned>(random(1000));
        while (at >= choice->weight)
            at -= (choice++)->weight;
        if (choice->operation != nullptr)
            (this->*choice->operation)();
    }
}

Slot *ActorProcess::free_slot() {
    for (Slot &slot : me().slots) {
        if (slot.file.load() == 0)
            return &slot;
    }
    return nullptr;
}

Slot *ActorProcess::held_slot() {
    size_t first = random(kSlots);
    for (size_t i = 0; i < kSlots; i++) {
        Slot &slot = me().slots[(first + i) % kSlots];
        if (slot.file.load() != 0)
            return &slot;
    }
    return nullptr;
}

void ActorProcess::execute() {
    Record &record = add_record(journal_, Kind::kExec, self_);
    me().exec_record = static_cast<uint32_t>(&record - journal_.record.data());
    std::string memory = std::to_string(journal_.memory);
    std::string self = std::to_string(self_);
    record.before.store(boottime_ns());
    execl("/proc/self/exe", "storm-actor", kExecuted, memory.c_str(), self.c_str(), nullptr);
    mistake(journal_, "exec");
}

void ActorProcess::leave() {
    Record &record = add_record(journal_, Kind::kExit, self_);
    record.before.store(boottime_ns());
    _exit(0);
}

uint64_t next_random(uint64_t &state) {
    uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

Record &add_record(Journal &journal, Kind kind, uint32_t actor) {
    uint32_t number = journal.records.fetch_add(1) + 1;
    if (number >= kMaxRecords)
        std::abort(); // the director sees the death and says so
    Record &record = journal.record[number];
    record.actor = actor;
    record.kind = kind;
    return record;
}

void mistake(Journal &journal, const char *what) {
    journal.mistakes.fetch_add(1);
    std::fprintf(stderr, "storm: %s: %s\n", what, std::strerror(errno));
}

uint32_t add_actor(Journal &journal, uint32_t cgroup) {
    uint32_t number = journal.actors.fetch_add(1);
    if (number >= kMaxActors)
        return 0;
    Actor &actor = journal.actor[number];
    actor.cgroup.store(cgroup);
    actor.random = journal.seed;
    actor.random = next_random(actor.random) + number;
    return number;
}

int open_cgroup(const Journal &journal, uint32_t cgroup) {
    return open(journal.cgroup_directories[cgroup].data(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool write_cgroup(const Journal &journal, uint32_t cgroup, int pid) {
    std::string path = std::string(journal.cgroup_directories[cgroup].data()) + "/cgroup.procs";
    std::string number = std::to_string(pid);
    Fd procs(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return procs &&
           write(procs.get(), number.data(), number.size()) == static_cast<ssize_t>(number.size());
}

void act(Journal &journal, uint32_t self) {
    ActorProcess process(journal, self);
    process.be_born();
    process.live();
}

void act_if_executed(int argc, char **argv) {
    if (argc != 4 || std::strcmp(argv[1], kExecuted) != 0)
        return;
    uint64_t at = boottime_ns();
    void *memory =
        mmap(nullptr, sizeof(Journal), PROT_READ | PROT_WRITE, MAP_SHARED, std::atoi(argv[2]), 0);
    if (memory == MAP_FAILED)
        std::abort();
    auto &journal = *static_cast<Journal *>(memory);
    auto self = static_cast<uint32_t>(std::atoi(argv[3]));
    Actor &actor = journal.actor[self];
    for (Slot &slot : actor.slots) {
        if (slot.close_on_exec != 0)
            slot.file.store(0);
    }
    Record &record = journal.record[actor.exec_record];
    record.done = 1;
    record.after.store(at);
    ActorProcess(journal, self).live();
}

} // namespace tally::storm
