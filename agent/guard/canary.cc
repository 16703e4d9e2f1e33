#include "agent/guard/canary.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace tally {

namespace {

// drivers/char/mem.c: their open functions do nothing. The rarest in use first.
constexpr std::array<const char *, 4> kCandidates = {"/dev/full", "/dev/zero", "/dev/random",
                                                     "/dev/null"};
// The kernel skips a program of ours that would run while the same one is interrupted on that CPU.
constexpr int kTries = 3;

uint64_t count(const wire_state &state, wire_canary what) {
    return __atomic_load_n(&state.canary[what], __ATOMIC_SEQ_CST);
}

Fd open_file(const std::string &path) {
    return Fd(static_cast<int>(
        syscall(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)));
}

// Sends the descriptor to ourselves (SCM_RIGHTS).
Fd passed(int fd) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0)
        return Fd();
    Fd from(pair[0]);
    Fd to(pair[1]);
    char byte = 0;
    iovec data = {&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    if (sendmsg(from.get(), &message, MSG_DONTWAIT) != 1 ||
        recvmsg(to.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1)
        return Fd();
    header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_type != SCM_RIGHTS)
        return Fd();
    std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return Fd(fd);
}

Fd open_by_handle(const std::string &path) {
    struct {
        file_handle handle;
        char room[MAX_HANDLE_SZ];
    } named = {};
    named.handle.handle_bytes = MAX_HANDLE_SZ;
    int mount = 0;
    if (name_to_handle_at(AT_FDCWD, path.c_str(), &named.handle, &mount, 0) != 0)
        return Fd();
    Fd directory(::open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return Fd(open_by_handle_at(directory.get(), &named.handle, O_RDONLY | O_CLOEXEC));
}

} // namespace

Result<Canary> Canary::open(const std::map<uint32_t, uint32_t> &watched) {
    for (const char *path : kCandidates) {
        struct stat node = {};
        if (stat(path, &node) != 0 || !S_ISCHR(node.st_mode))
            continue;
        uint32_t number = WIRE_DEVICE_NUMBER(major(node.st_rdev), minor(node.st_rdev));
        auto entry = watched.find(number);
        if (entry != watched.end() && entry->second != WIRE_CANARY)
            continue;
        Fd kept = open_file(path);
        if (kept)
            return Canary(path, number, std::move(kept));
    }
    return Error{"no device to try the hooks with: each of those that would do is watched"};
}

std::vector<std::string> Canary::silent_hooks(pb::Rung rung, const std::set<std::string> &attached,
                                              wire_state &state) const {
    std::set<std::string> can_try;
    if (rung == pb::RUNG_EXACT)
        can_try = {"exact_open", "exact_receive", "exact_leave", "exact_release"};
    else if (rung == pb::RUNG_EXACT_KPROBE)
        can_try = {"kprobe_open", "kprobe_receive", "kprobe_leave", "kprobe_release"};
    else if (rung == pb::RUNG_TRACED)
        can_try = {"opened_openat", "opened_openat2", "opened_by_handle", "opened_open",
                   "opened_creat"};
    std::set<std::string> fired;
    std::vector<std::string> silent;
    for (int tries = 0; tries < kTries; tries++) {
        if (rung == pb::RUNG_TRACED)
            try_openings(state, fired);
        else if (!can_try.empty())
            try_whole_way(rung == pb::RUNG_EXACT ? "exact_" : "kprobe_", state, fired);
        silent.clear();
        for (const std::string &hook : can_try) {
            if (attached.contains(hook) && !fired.contains(hook))
                silent.push_back(hook);
        }
        if (silent.empty())
            break;
    }
    return silent;
}

void Canary::try_whole_way(const std::string &prefix, wire_state &state,
                           std::set<std::string> &fired) const {
    auto before = std::to_array(state.canary);
    state.canary_out = 1;
    Fd file = open_file(path_);
    Fd received = passed(file.get());
    received.reset();
    file.reset();
    state.canary_out = 0;
    const std::pair<const char *, wire_canary> ways[] = {{"open", WIRE_CANARY_OPENED},
                                                         {"receive", WIRE_CANARY_RECEIVED},
                                                         {"leave", WIRE_CANARY_LEFT},
                                                         {"release", WIRE_CANARY_RELEASED}};
    for (const auto &[hook, what] : ways) {
        if (count(state, what) != before[what])
            fired.insert(prefix + hook);
    }
}

void Canary::try_openings(const wire_state &state, std::set<std::string> &fired) const {
    auto attempt = [&](const char *hook, const std::function<Fd()> &open) {
        uint64_t before = count(state, WIRE_CANARY_OPENED);
        Fd file = open();
        if (!file || count(state, WIRE_CANARY_OPENED) != before)
            fired.insert(hook); // what cannot be tried here is not held against the hook
    };
    attempt("opened_openat", [&] { return open_file(path_); });
    attempt("opened_openat2", [&] {
        open_how how = {};
        how.flags = O_RDONLY | O_CLOEXEC;
        return Fd(
            static_cast<int>(syscall(SYS_openat2, AT_FDCWD, path_.c_str(), &how, sizeof(how))));
    });
    attempt("opened_by_handle", [&] { return open_by_handle(path_); });
#ifdef SYS_open
    attempt("opened_open", [&] {
        return Fd(static_cast<int>(syscall(SYS_open, path_.c_str(), O_RDONLY | O_CLOEXEC)));
    });
    attempt("opened_creat",
            [&] { return Fd(static_cast<int>(syscall(SYS_creat, path_.c_str(), 0))); });
#endif
}

bool Canary::found_by_scan(const wire_state &state) {
    uint64_t found = count(state, WIRE_CANARY_FOUND);
    return std::exchange(found_, found) != found;
}

} // namespace tally
