#include "collector/watch.h"

#include "base/text.h"
#include "collector/replay.h"
#include "collector/tiles.h"

#include <sys/resource.h>

namespace tally {

namespace {

constexpr int kWatchNice = 19;

} // namespace

Watch::Watch(std::string directory, uint64_t size, std::string index_path, const Log &lines,
             Clock::duration pause)
    : directory_(std::move(directory)), began_with_(size), index_path_(std::move(index_path)),
      lines_(lines), pause_(pause), size_(size), thread_([this] { run(); }) {
}

Watch::~Watch() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    waiting_.notify_one();
    thread_.join();
}

void Watch::appended(std::vector<Arrival> arrivals) {
    {
        std::lock_guard lock(mutex_);
        for (Arrival &arrival : arrivals) {
            size_ = arrival.log_index + 1;
            bytes_ += arrival.bytes;
            arrivals_.push_back(std::move(arrival));
        }
        if (arrivals_.size() > kMost || bytes_ > kMostBytes) {
            arrivals_.clear();
            bytes_ = 0;
        }
    }
    waiting_.notify_one();
}

void Watch::run() {
    setpriority(PRIO_PROCESS, 0, kWatchNice); // of this thread: hosts' attestations go first
    Clock::time_point due = Clock::now() + pause_;
    for (;;) {
        bool more = judge_some();
        if (Clock::now() >= due) {
            if (!catching_up())
                publish();
            stuck_ = false;
            due = Clock::now() + pause_;
        }
        std::unique_lock lock(mutex_);
        if (stopping_ && (!more || catching_up()))
            break;
        if (more)
            continue;
        waiting_.wait_until(lock, due,
                            [this] { return stopping_ || (!stuck_ && size_ > judge_.size()); });
    }
    if (!catching_up())
        publish();
}

void Watch::complain(const Error &error) {
    if (!std::exchange(failing_, true))
        lines_.error(error.message + "; findings are not brought up to date, trying again");
}

// Whether there is more that can be judged now.
bool Watch::judge_some() {
    uint64_t size = 0;
    std::deque<Arrival> arrivals;
    {
        std::lock_guard lock(mutex_);
        size = size_;
        // While the log is behind them they wait, or have no room and are read from it too.
        while (!arrivals_.empty() && arrivals_.front().log_index < judge_.size()) {
            bytes_ -= arrivals_.front().bytes;
            arrivals_.pop_front();
        }
        if (!arrivals_.empty() && arrivals_.front().log_index == judge_.size()) {
            arrivals.swap(arrivals_);
            bytes_ = 0;
        }
    }
    for (Arrival &arrival : arrivals)
        judge_.add(arrival.log_index, std::move(arrival.opened));
    if (judge_.size() >= size)
        return false;
    if (!arrivals.empty())
        return true;
    auto read = read_some(size);
    std::lock_guard lock(mutex_);
    if (!read && size_ == size) {
        stuck_ = true;
        complain(read.error());
        return false;
    }
    return true; // it grew meanwhile, and its partial bundle gave way to a longer one
}

Status Watch::read_some(uint64_t size) {
    uint64_t bundle = judge_.size() / kTileWidth;
    auto width = static_cast<unsigned>(std::min<uint64_t>(size - bundle * kTileWidth, kTileWidth));
    auto entries = read_entries(directory_, {Tile::kEntries, bundle, width});
    if (!entries)
        return entries.error();
    for (size_t i = judge_.size() % kTileWidth; i < entries->size(); i++) {
        uint64_t log_index = bundle * kTileWidth + i;
        auto opened = reopen((*entries)[i]);
        if (!opened)
            return Error{"log entry " + std::to_string(log_index) + ": " + opened.error().message};
        judge_.add(log_index, *std::move(opened));
    }
    return ok();
}

// The index is opened each time: the sequencer may have replaced a damaged one.
void Watch::publish() {
    if (published_ && published_size_ == judge_.size())
        return;
    FindingRows now = finding_rows(judge_.findings());
    auto index = Index::open(index_path_);
    Status status = index ? ok() : Status(index.error());
    if (status && !published_) {
        auto before = index->findings();
        status = before ? ok() : Status(before.error());
        if (before)
            published_ = *std::move(before);
    }
    if (status)
        status = index->set_findings(*published_, now, judge_.size());
    if (!status) {
        complain(status.error());
        return;
    }
    for (const auto &[at, finding] : now) {
        auto before = published_->find(at);
        if (before != published_->end() && before->second.is_open() && !finding.is_open())
            lines_.notice("explained: " + id_of(finding) + ": " + finding.host + ": by " +
                          finding.last->who + ": " + finding.last->why);
        if (before == published_->end())
            lines_.warning("finding: " + finding.kind + ": " + finding.host + ", sequence " +
                           std::to_string(finding.sequence) + ", log index " +
                           std::to_string(finding.index) + ": " + finding.text);
    }
    published_ = std::move(now);
    published_size_ = judge_.size();
    failing_ = false;
}

} // namespace tally
