// Notices that the tenant files are others, and reads them again.
//
// Whether they are is told by their stamps; inotify(7), on the directory and on the one above it,
// only says when to look at once: a rename, a file closed after writing, a deletion, the directory
// itself or a link to it replaced. Without inotify, and for what it does not see (a link's target
// changed elsewhere), the stamps are looked at once a window.
//
// A file that somebody has open and writes to is not read until it is closed.
#pragma once

#include "agent/identity/tenants.h"
#include "base/fd.h"
#include "base/log.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tally {

class TenantsWatch {
public:
    // `log` must outlive this.
    TenantsWatch(std::string directory, std::vector<std::string> tenant_names, uint64_t window_ns,
                 const Log &log)
        : directory_(std::move(directory)), tenant_names_(std::move(tenant_names)),
          window_ns_(window_ns), log_(log) {}

    // The files as they are now, to begin with.
    Result<Tenants> load();
    // From now on look() knows when to. The descriptor to watch; -1: there is no inotify, which the
    // log is told.
    int start(uint64_t at_ns);
    void on_ready(uint64_t at_ns); // the descriptor is readable

    // CLOCK_BOOTTIME at which look() has something to do.
    uint64_t look_due_ns() const { return look_due_ns_; }
    // What the files say, or what is wrong with them, if they are others than at the last look;
    // else nothing.
    std::optional<Result<Tenants>> look(uint64_t at_ns);

private:
    // File -> device, inode, time of change, size.
    using Stamps = std::map<std::string, FileStamp>;

    Stamps stamps() const;
    void arm();
    void do_without();
    bool is_being_written(uint64_t at_ns);

    std::string directory_;
    std::vector<std::string> tenant_names_;
    uint64_t window_ns_;
    const Log &log_;

    std::optional<Stamps> read_; // of what was read last
    Stamps seen_;                // at the last look
    Fd inotify_;
    int inside_ = -1;               // watches the directory
    int above_ = -1;                // watches the one above it, for its name there
    bool told_ = false;             // inotify said something since the files were read
    uint64_t told_ns_ = 0;          // when it first did
    std::set<std::string> written_; // written to, and not closed yet
    uint64_t written_ns_ = 0;       // since when there are any
    bool warned_ = false;           // of these
    uint64_t look_due_ns_ = 0;
};

} // namespace tally
