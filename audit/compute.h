// How much could have been computed on a device in the time that it was held: an upper bound, from
// the device table, never a measurement. Held time x peak dense rate, for the part that was held:
//
//   whole device            all of it; of several functions behind one VFIO group, all of each
//   MIG instance            each instance of a GPU has one compute slice at least (MIG user guide),
//   so
//                           one of n has at most (slices - (n - 1)) / slices
//   GPU with MIG instances  nothing: without an instance nothing runs on it
//   (agent/record/devices.h) AMD compute partition   1 / n; the GPU's own node is one of the n
//   virtual function, mediated device   all of its device: what share it has, nothing tells
//   /dev/kfd                nothing: its GPUs are held by their own nodes
//
// How a device is divided is what its host's inventory last said: in the window in which it is
// divided anew the bound is of the division after.
#pragma once

#include "attest/statement.pb.h"
#include "findings/device_table.h"

#include <cstdint>
#include <optional>
#include <string>

namespace tally {

namespace pb = tallystick::v1;

// Whether anything can be computed on it by itself: not on /dev/kfd, nor on an NVIDIA GPU while it
// has MIG instances. Such a hold is shown like any other, and counts as no device held.
bool computes(const pb::Device &device);

struct ComputeBound {
    double operations = 0;       // at the fastest precision; a multiply-add counts two
    uint32_t bits = 0;           // of that precision
    double operations_16bit = 0; // at 16 bits, which large models are trained in; 0: not known
    double rate = 0;             // operations a second, of the part that was held, at `bits`
    std::string confidence;      // the table's: "high", "medium", "low"
    std::string caveat; // one line: what makes it more than the device could have done, or less
};

// Nothing where the table has no rates for the device: then no bound is known. A part on which
// nothing can be computed has a bound of 0.
std::optional<ComputeBound> compute_bound(const DeviceTable &table, const pb::Device &device,
                                          uint64_t held_ns);

} // namespace tally
