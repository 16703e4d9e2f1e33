// The agent: once a window, what the recorder saw becomes a signed statement in the spool; the
// uplink carries it to the collector whenever it can. Recording never waits for either.
#pragma once

#include "agent/config.h"
#include "agent/guard/guard.h"
#include "agent/identity/tenants_watch.h"
#include "agent/loop.h"
#include "agent/statement/chain.h"
#include "agent/statement/events.h"
#include "agent/uplink/uplink.h"
#include "agent/windows.h"
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
    std::optional<Failure> open_chain();
    std::optional<Failure> start_recording();
    Status watch_tenants();
    std::optional<Failure> serve();
    std::optional<Failure> stop();
    Status turn(uint64_t deadline_ns); // one wait, and whatever it brought
    void look_at_tenants();
    void note(pb::Event::Kind kind, const std::string &detail);

    Config config_;
    const Log &log_;
    pb::Agent self_;
    std::string boot_id_;
    std::optional<Signer> signer_; // until the chain is opened
    std::unique_ptr<TlsContext> tls_;
    std::vector<NoteKey> log_keys_;
    Disclosure disclosure_;
    std::unique_ptr<TenantsWatch> tenants_watch_;
    Tenants tenants_; // until recording starts
    Events events_;
    std::unique_ptr<Chain> chain_;
    std::unique_ptr<Loop> loop_;
    std::unique_ptr<Guard> guard_;
    std::unique_ptr<Windows> windows_;
    std::unique_ptr<Uplink> uplink_;
};

} // namespace tally
