// What a storm's processes write down, in memory that all of them share and that outlives them: a
// record of every operation, with the clock just before and just after it.
//
// One process writes its own records one after another and waits for each operation to end, so its
// records are a sequence. Killed in mid-operation it leaves a record without `after`: the operation
// may or may not have happened.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tally::storm {

struct DeviceNumber {
    const char *name; // in /dev; the configuration calls it the same
    unsigned major;
    unsigned minor;
};
// Stand-ins: any process can open them, and those of other cgroups do not matter here. None of them
// is opened by what an exec of the test program loads.
inline constexpr std::array<DeviceNumber, 3> kDevices = {
    {{"full", 1, 7}, {"zero", 1, 5}, {"random", 1, 8}}};

inline constexpr size_t kMaxActors = 16384;
inline constexpr size_t kMaxRecords = 1 << 20;
inline constexpr size_t kMaxFiles = 1 << 20;
inline constexpr size_t kMaxCgroups = 64;
inline constexpr size_t kMailboxes = 6;
inline constexpr size_t kSlots = 6; // descriptors on devices that one process has at most

enum class Kind : uint8_t {
    kNone,
    kFork,    // target: the child; cgroup: where it is born
    kBorn,    // the child's first record: the fork has happened
    kOpen,    // fd, file, device
    kCopy,    // fd -> other_fd, whose file, if it had one, is closed in the same step (dup3)
    kClose,   // fd
    kSend,    // fd, file into target, a mailbox; the message is this record's number
    kReceive, // from target, a mailbox: message, fd, file, device
    kDiscard, // a message read without taking its file
    kTake,    // pidfd_getfd from target, a process: fd, file, device
    kMigrate, // target moves to cgroup
    kExec,    // closes what is close-on-exec
    kExit,    // only `before`: its end is the process's death
    kKill,    // target
    kDeath,   // target is seen dead
    kDrain,   // all mailboxes are closed: what was in flight is released
};

struct Record {
    std::atomic<uint64_t> before; // CLOCK_BOOTTIME; 0: never came to the operation
    std::atomic<uint64_t> after;  // 0: did not come back from it
    uint64_t message;
    uint32_t actor; // who did it; 0 is the director
    uint32_t target;
    uint32_t file;
    int32_t fd;
    int32_t other_fd;
    uint16_t cgroup;
    Kind kind;
    uint8_t device;
    uint8_t close_on_exec; // of the new descriptor
    uint8_t done;          // the call succeeded
};

// A descriptor on a device: what its owner knows, and what a pidfd_getfd of another aims at.
struct Slot {
    std::atomic<uint32_t> file; // 0: free
    int32_t fd;
    uint8_t device;
    uint8_t close_on_exec;
};

struct Actor {
    std::atomic<int32_t> pid; // 0: not yet or no longer running
    std::atomic<bool> dead;
    std::atomic<uint32_t> cgroup; // changed under `moving`
    std::atomic<bool> moving;     // held by whoever migrates it, and by itself while it forks
    uint64_t random;
    uint32_t exec_record;
    std::array<Slot, kSlots> slots;
};

struct Journal {
    uint64_t seed;
    std::atomic<uint64_t> end_ns;  // CLOCK_BOOTTIME when it is to end; 0: not yet known
    std::atomic<uint32_t> actors;  // used; 0 is the director
    std::atomic<uint32_t> records; // used; 0 is none
    std::atomic<uint32_t> files;   // used; 0 is none
    std::atomic<uint32_t> alive;
    std::atomic<uint32_t> most_alive;
    std::atomic<uint32_t> mistakes; // of the storm itself: a file was not the one it should be
    std::atomic<bool> over;         // nobody may fork any more
    std::atomic<uint32_t> pace; // percent: all sleep so much longer, on a machine that is too slow
    std::atomic<uint32_t> slowest_pace;
    uint32_t population;
    uint32_t cgroups;
    int32_t memory; // descriptor of this memory, in every process
    std::array<std::array<int32_t, 2>, kMailboxes>
        mailboxes; // sockets: send to [0], receive at [1]
    std::array<std::array<char, 128>, kMaxCgroups> cgroup_directories;
    std::array<char, 128> nodes; // directory for device nodes: each file is opened by its own
    std::array<uint8_t, kMaxFiles> file_device;
    std::array<Actor, kMaxActors> actor;
    std::array<Record, kMaxRecords> record;
};

} // namespace tally::storm
