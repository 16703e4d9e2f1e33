// A worker on a thread of its own, for calls that end only when somebody else answers. The agent
// has one thread, which must record whatever else happens; so it leaves a question here and comes
// by for the answer a second later. What hangs, hangs here.
#pragma once

#include "agent/clock.h"
#include "base/result.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <string>
#include <utility>
#include <vector>

namespace tally {

// A Worker has
//   using Question, using Answer;
//   Result<std::vector<Answer>> answer(const Question &);   // after an error it rests
//   std::vector<Answer> farewell();   // before it goes
// and lives on the thread alone, from the first question until it is let go of.
template <typename Worker> class Aside {
public:
    using Question = typename Worker::Question;
    using Answer = typename Worker::Answer;

    explicit Aside(std::function<std::unique_ptr<Worker>()> make)
        : desk_(std::make_shared<Desk>(std::move(make))) {}
    Aside(const Aside &) = delete;
    Aside &operator=(const Aside &) = delete;
    // Leaves a thread that hangs behind, with what it holds.
    ~Aside() {
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

    // Unless the question before has no answer yet.
    void ask(const Question &question, uint64_t boottime_ns) {
        bool ended = false;
        {
            std::lock_guard held(desk_->lock);
            ended = desk_->ended;
            desk_->let_go = false;
            if (desk_->asked_ns == 0) {
                desk_->question = question;
                desk_->asked_ns = boottime_ns;
            }
        }
        if (ended)
            start();
        desk_->rung.notify_all();
    }

    void let_go() {
        std::lock_guard held(desk_->lock);
        desk_->let_go = true;
        desk_->question.reset();
        desk_->rung.notify_all();
    }

    // What came since the last call.
    std::vector<Answer> take() {
        std::lock_guard held(desk_->lock);
        return std::exchange(desk_->answers, {});
    }

    // Why there is no answer; empty: there is.
    std::string absence(const char *who, uint64_t boottime_ns) const {
        std::lock_guard held(desk_->lock);
        uint64_t asked = desk_->asked_ns;
        uint64_t waited = asked == 0 || boottime_ns < asked ? 0 : boottime_ns - asked;
        if (waited < kPatience)
            return desk_->failure;
        // In few steps: each that is said is a change, which the next statement tells.
        uint64_t seconds = kPatience / kSecond;
        for (uint64_t step : {60, 600, 3600}) {
            if (waited >= step * kSecond)
                seconds = step;
        }
        return std::string(who) + " has not answered for over " + std::to_string(seconds) + " s";
    }

private:
    static constexpr uint64_t kPatience = 5 * kSecond;
    static constexpr uint64_t kShortestPause = kSecond; // after a failure, doubling
    static constexpr uint64_t kLongestPause = 60 * kSecond;
    static constexpr size_t kMostAnswers = 4096; // that nobody came for
    static constexpr std::chrono::seconds kFarewell{1};

    // What the two threads hand each other, under its lock. Whoever comes last takes it away.
    struct Desk {
        const std::function<std::unique_ptr<Worker>()> make;
        std::mutex lock;
        std::condition_variable rung;
        std::optional<Question> question; // not taken up yet
        bool let_go = false;
        bool ended = true;     // no thread is there, or it touches nothing any more
        uint64_t asked_ns = 0; // CLOCK_BOOTTIME, of the question without an answer; 0: none
        std::vector<Answer> answers;
        std::string failure;

        explicit Desk(std::function<std::unique_ptr<Worker>()> how) : make(std::move(how)) {}

        // Nothing: let go.
        std::optional<Question> next_question() {
            std::unique_lock held(lock);
            rung.wait(held, [this] { return question || let_go; });
            return let_go ? std::nullopt : std::exchange(question, std::nullopt);
        }
        void put(std::vector<Answer> more) {
            for (Answer &answer : more) {
                if (answers.size() < kMostAnswers)
                    answers.push_back(std::move(answer));
            }
        }
        void work() {
            std::unique_ptr<Worker> worker = make();
            uint64_t pause_ns = 0;
            uint64_t retry_ns = 0; // CLOCK_BOOTTIME
            while (auto next = next_question()) {
                uint64_t at = read_clock(CLOCK_BOOTTIME);
                if (at < retry_ns) { // the failure stands
                    std::lock_guard held(lock);
                    asked_ns = 0;
                    continue;
                }
                auto answer = worker->answer(*next);
                pause_ns = answer ? 0 : std::clamp(2 * pause_ns, kShortestPause, kLongestPause);
                retry_ns = at + pause_ns;
                std::lock_guard held(lock);
                asked_ns = 0;
                failure = answer ? "" : answer.error().message;
                if (answer)
                    put(*std::move(answer));
            }
            auto last = worker->farewell();
            worker.reset();
            std::lock_guard held(lock);
            asked_ns = 0;
            put(std::move(last));
        }
    };

    static void *serve(void *handed) {
        std::unique_ptr<std::shared_ptr<Desk>> own(static_cast<std::shared_ptr<Desk> *>(handed));
        Desk &desk = **own;
        for (;;) {
            desk.work();
            std::lock_guard held(desk.lock);
            desk.ended = desk.let_go; // unless somebody asked meanwhile
            desk.rung.notify_all();
            if (desk.ended)
                return nullptr;
        }
    }

    void start() {
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

    std::shared_ptr<Desk> desk_;
    pthread_t thread_ = {};
    bool started_ = false;
};

} // namespace tally
