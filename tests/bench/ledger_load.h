// Hosts without the agent: streams over mutual TLS that send what was signed beforehand, as fast as
// the collector's window lets them or at a given rate, and time each receipt.
#pragma once

#include "tests/unit/support/keys.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace tally {

struct LoadHost {
    std::string name;
    std::vector<Bytes> attestations;
};

struct Timing {
    double seconds = 0;               // from the first attestation sent to the last receipt
    std::vector<double> milliseconds; // from sending to the receipt, sorted
    size_t failed = 0;                // streams that did not get all of theirs
    double at(double share) const;    // a quantile of milliseconds
};

class Load {
public:
    static constexpr size_t kWindow = 512; // what an agent has in flight

    // Connects all, each on a connection of its own, and waits until all are resumed.
    Load(int port, const TestKeys &keys, std::vector<LoadHost> hosts);
    ~Load();

    // Sends the next `each` of every host. `per_second` 0: as fast as it goes; else all hosts
    // together send at that rate, evenly.
    Timing send(size_t each, double per_second = 0);

private:
    class Host;
    std::vector<std::unique_ptr<Host>> hosts_;
};

} // namespace tally
