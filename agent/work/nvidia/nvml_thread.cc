#include "agent/work/nvidia/nvml_thread.h"

#include "agent/clock.h"

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

namespace tally {

namespace {

constexpr uint64_t kPatience = 5 * kSecond;  // then it is said that there is no answer
constexpr uint64_t kShortestPause = kSecond; // between attempts to open the library, doubling
constexpr uint64_t kLongestPause = 60 * kSecond;
constexpr size_t kMostReadings = 4096; // that nobody came for
constexpr std::chrono::seconds kFarewell(1);

// What opening the library needs, in the order in which it is let go of.
struct Open {
    std::optional<NvmlLibrary> library;
    NvmlReader reader;
    uint64_t pause_ns = kShortestPause;
    uint64_t retry_ns = 0; // CLOCK_BOOTTIME

    Result<std::vector<NvmlReading>> read(const std::string &path, const NvmlWanted &wanted) {
        if (!library) {
            auto opened = NvmlLibrary::open(path);
            if (!opened)
                return opened.error();
            library.emplace(*std::move(opened));
        }
        return reader.read(*library, wanted);
    }
};

} // namespace

// What the two threads hand each other, under its lock. Whoever comes last takes it away.
struct NvmlThread::Desk {
    const std::string path;
    std::mutex lock;
    std::condition_variable rung;
    NvmlWanted wanted;     // by the last question
    bool asked = false;    // a question that was not taken up yet
    bool let_go = false;   // close the library and end
    bool ended = true;     // no thread is there, or it touches nothing any more
    uint64_t asked_ns = 0; // CLOCK_BOOTTIME, when the unanswered question was asked; 0: none
    std::vector<NvmlReading> readings;
    std::string failure;

    explicit Desk(std::string library) : path(std::move(library)) {}
    std::optional<NvmlWanted> next_question();
    void answer(Open &open, const NvmlWanted &question);
};

// Nothing: let go.
std::optional<NvmlWanted> NvmlThread::Desk::next_question() {
    std::unique_lock held(lock);
    rung.wait(held, [this] { return asked || let_go; });
    asked = false;
    return let_go ? std::nullopt : std::optional(wanted);
}

void NvmlThread::Desk::answer(Open &open, const NvmlWanted &question) {
    uint64_t at = read_clock(CLOCK_BOOTTIME);
    bool rests = at < open.retry_ns;
    auto read = rests ? std::vector<NvmlReading>() : open.read(path, question);
    if (read && !rests) {
        open.pause_ns = kShortestPause;
    } else if (!rests) {
        // Whatever it is, it may be over when the library is opened anew.
        open.library.reset();
        open.retry_ns = at + open.pause_ns;
        open.pause_ns = std::min(open.pause_ns * 2, kLongestPause);
    }
    std::lock_guard held(lock);
    asked_ns = 0;
    if (rests)
        return;
    failure = read ? "" : read.error().message;
    for (NvmlReading &reading : read ? *read : std::vector<NvmlReading>()) {
        if (failure.empty())
            failure = reading.problem;
        if (readings.size() < kMostReadings)
            readings.push_back(std::move(reading));
    }
}

NvmlThread::NvmlThread(std::string library) : desk_(std::make_shared<Desk>(std::move(library))) {
}

NvmlThread::~NvmlThread() {
    let_go();
    if (!started_)
        return;
    std::unique_lock held(desk_->lock);
    bool ended = desk_->rung.wait_for(held, kFarewell, [this] { return desk_->ended; });
    held.unlock();
    if (ended)
        pthread_join(thread_, nullptr);
    else
        pthread_detach(thread_);
}

void *NvmlThread::serve(void *handed) {
    std::unique_ptr<std::shared_ptr<Desk>> own(static_cast<std::shared_ptr<Desk> *>(handed));
    Desk &desk = **own;
    for (;;) {
        {
            Open open;
            while (auto question = desk.next_question())
                desk.answer(open, *question);
        } // closes the library
        std::lock_guard held(desk.lock);
        desk.ended = desk.let_go; // unless somebody asked meanwhile
        desk.rung.notify_all();
        if (desk.ended)
            return nullptr;
    }
}

void NvmlThread::start() {
    if (started_)
        pthread_join(thread_, nullptr); // it has ended
    auto handed = std::make_unique<std::shared_ptr<Desk>>(desk_);
    // Signals are the agent's own thread's.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failure = pthread_create(&thread_, nullptr, serve, handed.get());
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    started_ = failure == 0;
    if (started_)
        static_cast<void>(handed.release()); // the thread's own
    std::lock_guard held(desk_->lock);
    desk_->ended = !started_;
    if (!started_) {
        desk_->failure = "start a thread: " + std::string(std::strerror(failure));
        desk_->asked_ns = 0;
    }
}

void NvmlThread::ask(const NvmlWanted &wanted, uint64_t boottime_ns) {
    bool ended = false;
    {
        std::lock_guard held(desk_->lock);
        ended = desk_->ended;
        desk_->let_go = false;
        desk_->wanted = wanted;
        if (desk_->asked_ns == 0) {
            desk_->asked = true;
            desk_->asked_ns = boottime_ns;
        }
    }
    if (ended)
        start();
    desk_->rung.notify_all();
}

void NvmlThread::let_go() {
    std::lock_guard held(desk_->lock);
    desk_->let_go = true;
    desk_->asked = false;
    desk_->asked_ns = 0;
    desk_->rung.notify_all();
}

std::vector<NvmlReading> NvmlThread::take() {
    std::lock_guard held(desk_->lock);
    return std::exchange(desk_->readings, {});
}

std::string NvmlThread::absence(uint64_t boottime_ns) const {
    std::lock_guard held(desk_->lock);
    uint64_t waited =
        desk_->asked_ns == 0 || boottime_ns < desk_->asked_ns ? 0 : boottime_ns - desk_->asked_ns;
    if (waited < kPatience)
        return desk_->failure;
    // In few steps: each that is said is a change, which the next statement tells.
    uint64_t seconds = kPatience / kSecond;
    for (uint64_t step : {60, 600, 3600}) {
        if (waited >= step * kSecond)
            seconds = step;
    }
    return "libnvidia-ml has not answered for over " + std::to_string(seconds) + " s";
}

} // namespace tally
