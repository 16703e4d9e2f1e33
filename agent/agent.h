// The agent: once a window, what the recorder saw becomes a signed statement in the spool; the
// uplink carries it to the collector whenever it can. Recording never waits for either.
#pragma once

#include "agent/config.h"
#include "agent/identity/workloads.h"
#include "agent/loop.h"
#include "agent/record/recorder.h"
#include "agent/spool/spool.h"
#include "agent/statement/signer.h"
#include "agent/statement/statement.h"
#include "agent/uplink/uplink.h"
#include "base/log.h"

#include <memory>
#include <string>
#include <vector>

namespace tally {

// Exit statuses of tallyd, also in its --help.
enum class Exit { kClean = 0, kFailed = 1, kConfiguration = 2, kKernel = 3, kState = 4 };

struct Failure {
    Exit status;
    Error error;
};

class Agent {
public:
    Agent(Config config, const Log &log);

    // Loads keys and tenants, without touching the kernel or the spool: what --check-config does.
    std::optional<Failure> prepare();
    // Opens the spool, starts recording, and runs until SIGTERM or SIGINT. Then cuts a last window
    // and gives the collector a few seconds to receipt it.
    std::optional<Failure> run();

private:
    std::optional<Failure> open_spool();
    std::optional<Failure> start_recording();
    std::optional<Failure> serve();
    std::optional<Failure> stop();
    Status turn(uint64_t deadline_ns); // one wait, and whatever it brought
    Status look_for_devices();
    Status scan_if_due();
    Status cut_window();
    Status keep(pb::Statement &statement);
    void note(pb::Event::Kind kind, const std::string &detail);
    std::string recording_summary() const;

    Config config_;
    const Log &log_;
    pb::Agent self_;
    std::string boot_id_;
    std::unique_ptr<Signer> signer_;
    std::unique_ptr<TlsContext> tls_;
    std::vector<NoteKey> log_keys_;
    Tenants tenants_; // until recording starts
    std::unique_ptr<Workloads> workloads_;
    std::unique_ptr<Spool> spool_;
    std::unique_ptr<Recorder> recorder_;
    std::unique_ptr<Loop> loop_;
    std::unique_ptr<Uplink> uplink_;

    Inventory inventory_;
    std::vector<std::string> device_problems_;
    std::vector<pb::Event> events_;
    Snapshot last_;              // at the end of the window before
    Instant window_begin_;       // which that end is, also across a restart
    bool introduce_ = true;      // the next statement brings the inventory
    uint64_t introduced_ns_ = 0; // boottime
    uint64_t next_window_ns_ = 0;
    uint64_t next_scan_ns_ = 0;
    bool widening_ = false; // the spool is full
};

} // namespace tally
