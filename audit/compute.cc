#include "audit/compute.h"

#include <algorithm>

namespace tally {

namespace {

constexpr double kTera = 1e12;
constexpr double kNanosecond = 1e-9;
constexpr const char *kDense =
    "peak dense rate over all the time held: structured sparsity can double it, use is less";

struct Share {
    double of_device = 1;
    std::string caveat;
};

bool is_divided(const pb::Device &device) {
    bool part = device.kind() == pb::Device::KIND_MIG_INSTANCE ||
                device.kind() == pb::Device::KIND_PARTITION;
    return !part && device.instances() > 0;
}

Share share_of(const pb::Device &device, const DeviceRow &row) {
    double instances = device.instances();
    if (!computes(device))
        return {0, "a way to others, which are held by themselves"};
    switch (device.kind()) {
    case pb::Device::KIND_MIG_INSTANCE: {
        auto slices = static_cast<double>(std::max<int64_t>(row.mig_slices, 1));
        double most = std::max(slices - std::max(instances - 1, 0.0), 1.0);
        return {most / slices, "at most " + std::to_string(static_cast<int>(most)) + " of " +
                                   std::to_string(static_cast<int>(slices)) + " MIG slices"};
    }
    case pb::Device::KIND_PARTITION:
        return {1 / std::max(instances, 1.0),
                "one of " + std::to_string(device.instances()) + " partitions"};
    case pb::Device::KIND_VIRTUAL_FUNCTION:
    case pb::Device::KIND_MEDIATED:
        return {1, "as if it had all of its device, whose share it is"};
    default:
        break;
    }
    if (!is_divided(device))
        return {static_cast<double>(std::max(device.pci_addresses_size(), 1)), ""};
    return {1 / instances, "one of " + std::to_string(device.instances()) + " partitions"};
}

double rate_at(const DeviceRow &row, uint32_t bits) {
    auto rate = row.rates.find(bits);
    return rate == row.rates.end() ? 0 : rate->second * kTera;
}

} // namespace

bool computes(const pb::Device &device) {
    bool nvidia = device.pci_id().starts_with("10de:");
    return device.kind() != pb::Device::KIND_SHARED && !(nvidia && is_divided(device));
}

std::optional<ComputeBound> compute_bound(const DeviceTable &table, const pb::Device &device,
                                          uint64_t held_ns) {
    // Of functions that differ behind one VFIO group the fastest stands for each.
    const DeviceRow *row = nullptr;
    uint32_t bits = 0;
    for (const std::string &id : pci_ids(device.pci_id())) {
        const DeviceRow *known = table.find(id);
        if (known == nullptr)
            return std::nullopt;
        for (const auto &[width, rate] : known->rates) {
            if (row == nullptr || rate * kTera > rate_at(*row, bits)) {
                row = known;
                bits = width;
            }
        }
    }
    if (row == nullptr)
        return std::nullopt;
    Share share = share_of(device, *row);
    double seconds = static_cast<double>(held_ns) * kNanosecond;
    ComputeBound bound;
    bound.bits = bits;
    bound.rate = rate_at(*row, bits) * share.of_device;
    bound.operations = bound.rate * seconds;
    bound.operations_16bit = rate_at(*row, 16) * share.of_device * seconds;
    bound.confidence = row->confidence;
    bound.caveat = (share.caveat.empty() ? "" : share.caveat + "; ") + kDense;
    return bound;
}

} // namespace tally
