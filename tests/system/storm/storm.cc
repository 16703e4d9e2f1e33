#include "tests/system/storm/storm.h"

#include "base/fd.h"
#include "tests/system/lab.h"
#include "tests/system/passing.h"
#include "tests/system/storm/actor.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tally::storm {

namespace {

// The parent of all actors: keeps their number up, kills and moves them, and sees them die. It has
// no device file itself.
class Director {
public:
    explicit Director(Journal &journal) : journal_(journal), random_(~journal.seed) {}
    void direct();

private:
    void open_mailboxes();
    void close_mailboxes();
    void spawn();
    void kill_one();
    void move_one();
    void kill_all();
    uint64_t wait_ms(unsigned milliseconds); // how much later it is, in ns
    void adapt(uint64_t late_ns);
    bool has_room() const {
        return journal_.alive.load() < journal_.population && journal_.pace.load() < 150;
    }
    bool reap(bool wait);
    bool over() const {
        uint64_t end = journal_.end_ns.load();
        return end != 0 && boottime_ns() >= end;
    }
    Actor *random_actor(uint32_t &number);

    Journal &journal_;
    uint64_t random_;
    sigset_t child_;
};

void Director::direct() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&child_);
    sigaddset(&child_, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_, nullptr);
    open_mailboxes();
    constexpr unsigned kTick = 20; // milliseconds
    while (!over()) {
        for (int i = 0; i < 5 && has_room(); i++)
            spawn();
        if (below(random_, 5) == 0) // ten a second
            kill_one();
        if (below(random_, 12) == 0)
            move_one();
        adapt(wait_ms(kTick));
    }
    kill_all();
    close_mailboxes();
}

void Director::open_mailboxes() {
    for (auto &mailbox : journal_.mailboxes) {
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, mailbox.data()) != 0)
            std::abort();
    }
}

void Director::close_mailboxes() {
    Record &record = add_record(journal_, Kind::kDrain, 0);
    record.before.store(boottime_ns());
    for (auto &mailbox : journal_.mailboxes) {
        close(mailbox[0]);
        close(mailbox[1]);
    }
    record.done = 1;
    record.after.store(boottime_ns());
}

void Director::spawn() {
    auto cgroup = static_cast<uint32_t>(below(random_, journal_.cgroups));
    uint32_t child = add_actor(journal_, cgroup);
    if (child == 0)
        return;
    Fd directory(open_cgroup(journal_, cgroup));
    Record &record = add_record(journal_, Kind::kFork, 0);
    record.target = child;
    record.cgroup = static_cast<uint16_t>(cgroup);
    record.before.store(boottime_ns());
    pid_t pid = directory ? fork_into(directory.get()) : -1;
    if (pid == 0) {
        sigprocmask(SIG_UNBLOCK, &child_, nullptr);
        directory.reset();
        act(journal_, child);
    }
    uint64_t after = boottime_ns();
    record.fd = pid;
    record.done = pid > 0;
    record.after.store(after);
    if (pid < 0 && errno != EAGAIN) // the kernel's word for "not now"
        mistake(journal_, "fork");
}

Actor *Director::random_actor(uint32_t &number) {
    uint32_t actors = std::min<uint32_t>(journal_.actors.load(), kMaxActors);
    for (int attempt = 0; attempt < 1000 && actors > 1; attempt++) {
        number = static_cast<uint32_t>(1 + below(random_, actors - 1));
        Actor &actor = journal_.actor[number];
        if (actor.pid.load() != 0 && !actor.dead.load())
            return &actor;
    }
    return nullptr;
}

void Director::kill_one() {
    uint32_t number = 0;
    Actor *actor = random_actor(number);
    if (actor == nullptr)
        return;
    Record &record = add_record(journal_, Kind::kKill, 0);
    record.target = number;
    record.before.store(boottime_ns());
    record.done = kill(actor->pid.load(), SIGKILL) == 0;
    record.after.store(boottime_ns());
}

void Director::move_one() {
    uint32_t number = 0;
    Actor *actor = random_actor(number);
    if (actor == nullptr || actor->moving.exchange(true))
        return;
    Record &record = add_record(journal_, Kind::kMigrate, 0);
    record.target = number;
    record.cgroup = static_cast<uint16_t>(below(random_, journal_.cgroups));
    record.before.store(boottime_ns());
    bool moved = write_cgroup(journal_, record.cgroup, actor->pid.load());
    uint64_t after = boottime_ns();
    record.done = moved;
    record.after.store(after);
    if (moved)
        actor->cgroup.store(record.cgroup);
    actor->moving.store(false);
}

// Nobody forks any more but those who have begun to; they are born, seen, and killed.
void Director::kill_all() {
    journal_.over.store(true);
    std::vector<bool> killed(kMaxActors);
    do {
        uint32_t actors = std::min<uint32_t>(journal_.actors.load(), kMaxActors);
        for (uint32_t number = 1; number < actors; number++) {
            Actor &actor = journal_.actor[number];
            if (actor.pid.load() == 0 || actor.dead.load() || killed[number])
                continue;
            killed[number] = true;
            Record &record = add_record(journal_, Kind::kKill, 0);
            record.target = number;
            record.before.store(boottime_ns());
            record.done = kill(actor.pid.load(), SIGKILL) == 0;
            record.after.store(boottime_ns());
            while (reap(/*wait=*/false)) {
            }
        }
    } while (reap(/*wait=*/true));
}

uint64_t Director::wait_ms(unsigned milliseconds) {
    uint64_t until = boottime_ns() + milliseconds * 1'000'000ULL;
    for (;;) {
        while (reap(/*wait=*/false)) {
        }
        uint64_t now = boottime_ns();
        if (now >= until)
            return now - until;
        timespec rest = {0, static_cast<long>(until - now)};
        sigtimedwait(&child_, nullptr, &rest);
    }
}

// A storm that keeps every processor busy tests the scheduler: who reads the clock late proves
// less.
void Director::adapt(uint64_t late_ns) {
    constexpr uint64_t kLate = 15'000'000;
    constexpr uint32_t kSlowest = 1000;
    uint32_t pace = journal_.pace.load();
    pace = late_ns > kLate ? std::min(kSlowest, pace + pace / 20)
                           : std::max<uint32_t>(100, pace - pace / 100);
    journal_.pace.store(pace);
    journal_.slowest_pace.store(std::max(pace, journal_.slowest_pace.load()));
}

// Sees one death, as soon as can be: what the dead had is released by then. With `wait`, false
// means that nobody is left.
bool Director::reap(bool wait) {
    siginfo_t info = {};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | (wait ? 0 : WNOHANG)) != 0 || info.si_pid == 0)
        return false;
    uint64_t at = boottime_ns();
    Actor *found = nullptr;
    for (uint32_t number = 1; number < kMaxActors && found == nullptr; number++) {
        Actor &actor = journal_.actor[number];
        if (actor.pid.load() == info.si_pid && !actor.dead.load())
            found = &actor;
    }
    if (found == nullptr)
        mistake(journal_, "the death of a stranger");
    bool expected = (info.si_code == CLD_EXITED && info.si_status == 0) ||
                    (info.si_code == CLD_KILLED && info.si_status == SIGKILL);
    if (!expected)
        mistake(journal_, "a death that nobody ordered");
    if (found != nullptr) {
        found->dead.store(true);
        Record &record = add_record(journal_, Kind::kDeath, 0);
        record.target = static_cast<uint32_t>(found - journal_.actor.data());
        record.done = 1;
        record.before.store(at);
        record.after.store(at);
        journal_.alive.fetch_sub(1);
    }
    waitpid(info.si_pid, nullptr, 0);
    return true;
}

void copy_path(std::array<char, 128> &to, const std::string &from) {
    if (from.size() >= to.size())
        std::abort();
    std::copy(from.begin(), from.end(), to.begin());
}

} // namespace

TenantStorm::TenantStorm(const Plan &plan) {
    int memory = memfd_create("storm", 0); // not close-on-exec: an executed actor finds it again
    void *shared = MAP_FAILED;
    if (memory >= 0 && ftruncate(memory, sizeof(Journal)) == 0)
        shared = mmap(nullptr, sizeof(Journal), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (shared == MAP_FAILED) {
        std::perror("storm: shared memory");
        std::abort();
    }
    journal_ = static_cast<Journal *>(shared); // zeroes are an empty journal
    journal_->seed = plan.seed;
    journal_->actors.store(1);
    journal_->pace.store(100);
    journal_->population = plan.population;
    journal_->cgroups = static_cast<uint32_t>(std::min(plan.cgroups.size(), kMaxCgroups));
    journal_->memory = memory;
    for (size_t i = 0; i < journal_->cgroups; i++)
        copy_path(journal_->cgroup_directories[i], plan.cgroups[i]);
    copy_path(journal_->nodes, plan.nodes);
    director_ = fork();
    if (director_ == 0) {
        Director(*journal_).direct();
        _exit(0);
    }
    close(memory);
}

TenantStorm::~TenantStorm() {
    if (director_ > 0) {
        kill(director_, SIGKILL);
        join();
    }
    munmap(journal_, sizeof(Journal));
}

void TenantStorm::end_after(unsigned seconds) {
    journal_->end_ns.store(boottime_ns() + seconds * 1'000'000'000ULL);
}

bool TenantStorm::blowing() const {
    siginfo_t info = {};
    return director_ > 0 &&
           waitid(P_PID, static_cast<id_t>(director_), &info, WEXITED | WNOWAIT | WNOHANG) == 0 &&
           info.si_pid == 0;
}

bool TenantStorm::join() {
    if (director_ > 0) {
        int status = 0;
        waitpid(director_, &status, 0);
        well_ = status == 0;
    }
    director_ = -1;
    return well_ && journal_->mistakes.load() == 0;
}

} // namespace tally::storm
