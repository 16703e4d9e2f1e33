#include "agent/identity/tenants_watch.h"

#include "agent/clock.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tally {

namespace {

constexpr uint64_t kMillisecond = kSecond / 1000;
constexpr uint64_t kSettle = 100 * kMillisecond; // files that are dropped together are one change
constexpr uint64_t kLongest = kSecond;           // that looking is put off by further changes
constexpr uint64_t kPatience = 10 * kSecond;     // with a file that stays open for writing

constexpr uint32_t kInside = IN_CLOSE_WRITE | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                             IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr uint32_t kAbove = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR;

// Without a slash at its end, which would give it no name.
std::filesystem::path name_of(const std::string &directory) {
    std::filesystem::path path(directory);
    return path.has_filename() ? path : path.parent_path();
}

} // namespace

Result<Tenants> TenantsWatch::load() {
    // Before they are read: what changes meanwhile shows at the next look.
    seen_ = stamps();
    read_ = seen_;
    return Tenants::load(directory_, tenant_names_);
}

TenantsWatch::Stamps TenantsWatch::stamps() const {
    Stamps stamps;
    auto files = list_tenant_files(directory_);
    if (!files)
        return {{files.error().message, {}}}; // is a state, too
    for (const std::string &file : *files) {
        struct stat status = {};
        if (stat(file.c_str(), &status) == 0)
            stamps[file] = {status.st_dev, status.st_ino,
                            int64_t{status.st_ctim.tv_sec} * 1'000'000'000 + status.st_ctim.tv_nsec,
                            static_cast<uint64_t>(status.st_size)};
        else
            stamps[file] = {}; // a link to nowhere: reading will say so
    }
    return stamps;
}

int TenantsWatch::start(uint64_t at_ns) {
    look_due_ns_ = at_ns; // for what changed since load()
    inotify_.reset(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (inotify_)
        arm();
    else
        do_without();
    return inotify_.get();
}

void TenantsWatch::do_without() {
    log_.notice("inotify on " + directory_ + ": " + std::strerror(errno) +
                ": tenant files are looked at once a window");
    inotify_.reset();
    written_.clear();
}

// Both watches follow the paths to whatever is there now. A watch on the same directory stays as it
// is; one on a directory that is gone ends by itself.
void TenantsWatch::arm() {
    std::filesystem::path path = name_of(directory_);
    int above = inotify_add_watch(inotify_.get(), (path.parent_path() / ".").c_str(), kAbove);
    int inside = inotify_add_watch(inotify_.get(), directory_.c_str(), kInside);
    if (inside < 0 && errno != ENOENT && errno != ENOTDIR)
        return do_without();
    for (auto [old, now] : {std::pair(above_, above), std::pair(inside_, inside)}) {
        if (old >= 0 && old != now)
            inotify_rm_watch(inotify_.get(), old);
    }
    above_ = above;
    inside_ = inside;
}

void TenantsWatch::on_ready(uint64_t at_ns) {
    alignas(inotify_event) char events[4096];
    std::string own_name = name_of(directory_).filename();
    for (;;) {
        ssize_t length = read(inotify_.get(), events, sizeof(events));
        if (length <= 0)
            break;
        for (ssize_t at = 0; at < length;) {
            inotify_event event = {};
            std::memcpy(&event, events + at, sizeof(event));
            const char *chars = events + at + sizeof(event);
            std::string name(chars, strnlen(chars, event.len));
            at += static_cast<ssize_t>(sizeof(event) + event.len);
            if (event.wd == above_ && name != own_name)
                continue;
            if ((event.mask & IN_MODIFY) != 0 && name.ends_with(".toml")) {
                if (written_.empty())
                    written_ns_ = at_ns;
                written_.insert(name);
            } else {
                written_.erase(name);
            }
            if ((event.mask & IN_Q_OVERFLOW) != 0 || event.wd == above_)
                written_.clear(); // not known any more, or another directory's
            if (!told_)
                told_ns_ = at_ns;
            told_ = true;
        }
    }
    if (told_)
        look_due_ns_ = std::min(at_ns + kSettle, told_ns_ + kLongest);
}

bool TenantsWatch::is_being_written(uint64_t at_ns) {
    if (written_.empty()) {
        warned_ = false;
        return false;
    }
    if (!warned_ && at_ns >= written_ns_ + kPatience) {
        warned_ = true;
        log_.warning("tenant files: " + printable(*written_.begin()) +
                     " is still open and being written to: those before stay in force");
    }
    return true;
}

std::optional<Result<Tenants>> TenantsWatch::look(uint64_t at_ns) {
    if (at_ns < look_due_ns_)
        return std::nullopt;
    look_due_ns_ = at_ns + window_ns_;
    if (inotify_)
        arm(); // before the stamps are taken: what changes then is told
    Stamps now = stamps();
    bool settled = told_ || now == seen_;
    seen_ = now;
    if (now == read_) {
        told_ = false;
        return std::nullopt;
    }
    if (is_being_written(at_ns)) {
        look_due_ns_ = at_ns + kSecond;
        return std::nullopt;
    }
    // Nobody tells when a file is closed: it has to look the same twice.
    if (!settled) {
        look_due_ns_ = at_ns + std::min(window_ns_, kSecond);
        return std::nullopt;
    }
    told_ = false;
    auto tenants = load();
    if (!tenants && read_ != stamps()) {
        read_.reset(); // they changed while they were read
        told_ = true;
        told_ns_ = at_ns;
        look_due_ns_ = at_ns + kSettle;
        return std::nullopt;
    }
    return tenants;
}

} // namespace tally
