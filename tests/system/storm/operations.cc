// What an actor can do with device files. Each operation is timed as close to its call as can be.
#include "base/fd.h"
#include "tests/system/passing.h"
#include "tests/system/storm/actor_process.h"

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace tally::storm {

namespace {

struct Message {
    uint32_t record;
    uint32_t file;
};

// The file behind a descriptor, by the name of the node it was opened by; 0 if it is none of ours.
uint32_t file_behind(const Journal &journal, int fd) {
    char name[256] = {};
    std::string link = "/proc/self/fd/" + std::to_string(fd);
    size_t prefix = std::strlen(journal.nodes.data());
    if (readlink(link.c_str(), name, sizeof(name) - 1) <= static_cast<ssize_t>(prefix) ||
        std::strncmp(name, journal.nodes.data(), prefix) != 0)
        return 0;
    return static_cast<uint32_t>(std::strtoul(name + prefix + 1, nullptr, 10));
}

} // namespace

void ActorProcess::keep(Slot &slot, const Record &record, int fd) {
    slot.fd = fd;
    slot.device = record.device;
    slot.close_on_exec = record.close_on_exec;
    slot.file.store(record.file);
}

void ActorProcess::open_file() {
    Slot *slot = free_slot();
    if (slot == nullptr)
        return;
    Record &record = add_record(journal_, Kind::kOpen, self_);
    record.file = journal_.files.fetch_add(1) + 1;
    record.device = static_cast<uint8_t>(random(kDevices.size()));
    journal_.file_device[record.file % kMaxFiles] = record.device;
    const DeviceNumber &number = kDevices[record.device];
    std::string path = std::string(journal_.nodes.data()) + "/" + std::to_string(record.file);
    if (record.file >= kMaxFiles ||
        mknod(path.c_str(), S_IFCHR | 0600, makedev(number.major, number.minor)) != 0)
        mistake(journal_, "mknod");
    uint64_t how = random(4);
    record.close_on_exec = how != 3 && random(2) == 0;
    int flags = O_RDWR | (record.close_on_exec != 0 ? O_CLOEXEC : 0);
    open_how arguments = {};
    arguments.flags = static_cast<uint64_t>(flags);
    long fd = timed(record, [&]() -> long {
#ifdef SYS_open
        if (how == 1)
            return syscall(SYS_open, path.c_str(), flags, 0);
        if (how == 3)
            return syscall(SYS_creat, path.c_str(), 0600);
#endif
        if (how == 2)
            return syscall(SYS_openat2, AT_FDCWD, path.c_str(), &arguments, sizeof(arguments));
        return syscall(SYS_openat, AT_FDCWD, path.c_str(), flags, 0);
    });
    record.fd = static_cast<int32_t>(fd);
    record.done = fd >= 0;
    record.after.store(after_);
    unlink(path.c_str());
    if (fd >= 0)
        keep(*slot, record, record.fd);
    else
        mistake(journal_, "open");
}

void ActorProcess::copy() {
    Slot *from = held_slot();
    Slot *onto = held_slot();
    Slot *free = free_slot();
    bool replace = random(3) == 0 && onto != from;
    if (!replace && free == nullptr)
        return;
    Record &record = add_record(journal_, Kind::kCopy, self_);
    record.fd = from->fd;
    record.file = from->file.load();
    record.device = from->device;
    record.close_on_exec = random(2) == 0;
    if (replace) {
        record.other_fd = onto->fd; // whose file goes by the same call
        onto->file.store(0);
        free = onto;
    }
    int made = timed(record, [&] {
        int flag = record.close_on_exec != 0 ? O_CLOEXEC : 0;
        if (replace)
            return dup3(record.fd, record.other_fd, flag);
        return fcntl(record.fd, flag != 0 ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
    });
    record.other_fd = made;
    record.done = made >= 0;
    record.after.store(after_);
    if (made >= 0)
        keep(*free, record, made);
    else
        mistake(journal_, "dup");
}

void ActorProcess::close_file() {
    Slot *slot = held_slot();
    Record &record = add_record(journal_, Kind::kClose, self_);
    record.fd = slot->fd;
    record.file = slot->file.load();
    record.device = slot->device;
    slot->file.store(0);
    auto fd = static_cast<unsigned>(record.fd);
    long closed = random(4) == 0
                      ? timed(record, [&] { return syscall(SYS_close_range, fd, fd, 0); })
                      : timed(record, [&] { return syscall(SYS_close, fd); });
    record.done = closed == 0;
    record.after.store(after_);
    if (closed != 0)
        mistake(journal_, "close");
}

void ActorProcess::send() {
    Slot *slot = held_slot();
    Record &record = add_record(journal_, Kind::kSend, self_);
    record.fd = slot->fd;
    record.file = slot->file.load();
    record.device = slot->device;
    record.target = static_cast<uint32_t>(random(kMailboxes));
    record.message = static_cast<uint64_t>(&record - journal_.record.data());
    Message message = {static_cast<uint32_t>(record.message), record.file};
    record.done = timed(record, [&] {
        return send_fd(journal_.mailboxes[record.target][0], record.fd, &message, sizeof(message));
    });
    record.after.store(after_);
}

// What came from another process is what its node's name says, whatever we were told.
void ActorProcess::keep_found(Record &record, uint64_t after, int fd) {
    uint32_t file = fd >= 0 ? file_behind(journal_, fd) : 0;
    if (fd >= 0 && file == 0)
        close(fd);
    if (record.kind == Kind::kReceive && file != record.file)
        mistake(journal_, "a message brought another file");
    record.fd = fd;
    record.file = file;
    record.device = journal_.file_device[file % kMaxFiles];
    record.done = file != 0;
    record.after.store(after);
    if (file != 0)
        keep(*free_slot(), record, fd);
}

void ActorProcess::receive() {
    if (free_slot() == nullptr)
        return;
    Record &record = add_record(journal_, Kind::kReceive, self_);
    record.target = static_cast<uint32_t>(random(kMailboxes));
    record.close_on_exec = random(2) == 0;
    Message message = {};
    int fd = timed(record, [&] {
        return receive_fd(journal_.mailboxes[record.target][1], &message, sizeof(message),
                          record.close_on_exec != 0 ? MSG_CMSG_CLOEXEC : 0);
    });
    record.message = message.record;
    record.file = message.file;
    keep_found(record, after_, fd);
}

// Read without room for its file, a message lets go of it: the last release may be that of a file
// in flight.
void ActorProcess::discard() {
    Record &record = add_record(journal_, Kind::kDiscard, self_);
    record.target = static_cast<uint32_t>(random(kMailboxes));
    Message message = {};
    ssize_t length = timed(record, [&] {
        return recv(journal_.mailboxes[record.target][1], &message, sizeof(message), 0);
    });
    record.message = message.record;
    record.file = message.file;
    record.done = length == sizeof(message);
    record.after.store(after_);
}

void ActorProcess::take() {
    if (free_slot() == nullptr)
        return;
    uint32_t actors = std::min<uint32_t>(journal_.actors.load(), kMaxActors);
    for (int attempt = 0; attempt < 200; attempt++) {
        auto target = static_cast<uint32_t>(1 + random(actors - 1));
        Actor &other = journal_.actor[target];
        Slot &wanted = other.slots[random(kSlots)];
        if (target == self_ || other.dead.load() || other.pid.load() == 0 ||
            wanted.file.load() == 0)
            continue;
        Fd pidfd(open_pidfd(other.pid.load()));
        // The dead are marked before they are reaped: alive after the call, it was this process.
        if (!pidfd || other.dead.load())
            return;
        Record &record = add_record(journal_, Kind::kTake, self_);
        record.target = target;
        record.close_on_exec = 1;
        int wanted_fd = wanted.fd;
        int fd = timed(record, [&] { return take_fd(pidfd.get(), wanted_fd); });
        keep_found(record, after_, fd);
        return;
    }
}

void ActorProcess::migrate() {
    if (me().moving.exchange(true))
        return;
    Record &record = add_record(journal_, Kind::kMigrate, self_);
    record.target = self_;
    record.cgroup = static_cast<uint16_t>(random(journal_.cgroups));
    record.done = timed(record, [&] { return write_cgroup(journal_, record.cgroup, 0); });
    record.after.store(after_);
    if (record.done != 0)
        me().cgroup.store(record.cgroup);
    me().moving.store(false);
}

void ActorProcess::fork_child() {
    if (journal_.over.load() || journal_.alive.load() > journal_.population * 9 / 8 ||
        me().moving.exchange(true))
        return;
    uint32_t cgroup = me().cgroup.load();
    Fd elsewhere;
    if (random(3) == 0) {
        cgroup = static_cast<uint32_t>(random(journal_.cgroups));
        elsewhere.reset(open_cgroup(journal_, cgroup));
        if (!elsewhere)
            mistake(journal_, "open a cgroup");
    }
    uint32_t child = add_actor(journal_, cgroup);
    if (child == 0) {
        me().moving.store(false);
        return;
    }
    for (size_t i = 0; i < kSlots; i++) {
        Slot &mine = me().slots[i];
        Slot &its = journal_.actor[child].slots[i];
        its.fd = mine.fd;
        its.device = mine.device;
        its.close_on_exec = mine.close_on_exec;
        its.file.store(mine.file.load());
    }
    Record &record = add_record(journal_, Kind::kFork, self_);
    record.target = child;
    record.cgroup = static_cast<uint16_t>(cgroup);
    pid_t pid = timed(record, [&] { return fork_into(elsewhere.get(), /*sibling=*/true); });
    if (pid == 0) {
        self_ = child;
        be_born();
        return;
    }
    record.fd = pid;
    record.done = pid > 0;
    record.after.store(after_);
    me().moving.store(false);
}

} // namespace tally::storm
