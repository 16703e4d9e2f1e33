// `tally concurrent`: the most devices that one tenant, or one parent over all of its tenants, held
// at once, and for how long. A large training run shows as many devices at once for long; spread
// over many accounts, as many under one parent.
#pragma once

#include "audit/holds.h"

#include <string>
#include <vector>

namespace tally {

struct Peak {
    uint64_t devices = 0;
    uint64_t for_ns = 0;  // all the time that so many were held
    uint64_t from_ns = 0; // since when for the first time
};

struct Concurrent {
    std::string who;
    Peak certain;  // devices held for the whole of each window
    Peak possible; // devices held at all in it: had the holds in each window met
};

// Whoever held the most first. By parent a hold counts for each party above the tenant, up to the
// payer; a tenant that buys through nobody stands for itself.
// What computes nothing by itself (compute.h) is no device here.
std::vector<Concurrent> concurrent(const Holds &holds, bool by_parent);

std::string concurrent_table(const std::vector<Concurrent> &rows, bool by_parent);
std::string concurrent_csv(const std::vector<Concurrent> &rows, bool by_parent);

} // namespace tally
