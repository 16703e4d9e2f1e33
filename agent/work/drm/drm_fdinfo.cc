// drm_fdinfo: busy time and memory of each DRM client, as its driver tells in the fdinfo of the
// descriptors that the scan found (agent/work/drm/fdinfo.h), read once a second and at a window's
// end. The reconciliation for every DRM driver that has the keys.
//
// Proves what the driver counted for that file; the driver alone decides what busy is. Rather too
// little than too much:
//   - what a client did between the last reading and its end is lost;
//   - a client that may be older than our looking at its device counts from first sight on. One
//     that was opened since the look before counts from zero: ids grow (drm_file_alloc(), "ident",
//     in drivers/gpu/drm/drm_file.c), so it is one above all that were seen;
//   - GPU clocks (drm-cycles-*) have no zero: such a client counts from first sight on;
//   - work that bypasses the DRM file, as through KFD, does not appear here.
// A client is one struct drm_file, however many descriptors lead to it in however many processes:
// it is counted once, for the workload that was seen with it first and still has it.
#include "agent/clock.h"
#include "agent/work/drm/drm.h"
#include "agent/work/drm/fdinfo.h"
#include "agent/work/sources.h"
#include "base/durable.h"
#include "base/text.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <set>
#include <utility>

namespace tally {

namespace {

constexpr size_t kLongestFile = 64U << 10; // drivers write one to three KiB
constexpr uint64_t kLate = kSecond / 20;   // by which a driver may be asked after the clock was

uint64_t scaled(uint64_t value, uint64_t by, uint64_t over) {
    auto product = static_cast<unsigned __int128>(value) * by / over;
    constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
    return product > kMost ? kMost : static_cast<uint64_t>(product);
}

// The greatest values seen of one engine's counters, and when it was that they grew.
struct Engine {
    EngineUse seen;
    uint64_t grown_ns = 0;
};

struct ClientId {
    uint32_t device = 0;
    uint64_t number = 0; // drm-client-id: unique at least on its device
    auto operator<=>(const ClientId &) const = default;
};

struct Client {
    uint64_t workload = 0;
    uint64_t read_ns = 0; // boottime
    std::map<std::string, Engine> engines;
};

// Busy time since the counters grew last, and no more than there was time. Values may step back;
// the greatest stays (drm-usage-stats.rst).
uint64_t grown(Engine &engine, const EngineUse &use, uint64_t at_ns) {
    uint64_t span = at_ns - engine.grown_ns;
    uint64_t busy = 0;
    if (use.busy_ns) {
        uint64_t before = engine.seen.busy_ns.value_or(0);
        if (*use.busy_ns <= before)
            return 0;
        busy = *use.busy_ns - before;
    } else if (use.cycles && use.total_cycles) {
        bool known = engine.seen.cycles && engine.seen.total_cycles;
        bool clock_runs = known && *use.total_cycles >= *engine.seen.total_cycles;
        if (clock_runs &&
            (*use.total_cycles == *engine.seen.total_cycles || *use.cycles <= *engine.seen.cycles))
            return 0;
        if (clock_runs)
            busy = scaled(*use.cycles - *engine.seen.cycles, span,
                          *use.total_cycles - *engine.seen.total_cycles);
    }
    engine.seen = use;
    engine.grown_ns = at_ns;
    return std::min(busy, scaled(span + kLate, use.capacity.value_or(1), 1));
}

class DrmFdinfo : public WorkSource {
public:
    explicit DrmFdinfo(std::string proc) : proc_(std::move(proc)) {}

    const char *name() const override { return "drm_fdinfo"; }
    pb::Grade grade() const override { return pb::GRADE_SAMPLED; }
    std::string absence() const override { return absence_; }

    void look(const Look &look) override {
        files_.clear();
        for (const wire_holding &holding : look.holdings) {
            auto device = look.devices.find(holding.device);
            if (device != look.devices.end() && is_drm(device->second))
                files_.push_back({holding, device->second.pci_addresses});
        }
        sample(look.boottime_ns);
        std::erase_if(newest_,
                      [&](const auto &each) { return !look.devices.contains(each.first); });
        for (const auto &[index, device] : look.devices) {
            if (is_drm(device) && !device.absent)
                newest_.try_emplace(index, 0);
        }
        note_newest();
    }

    WorkRows take(uint64_t boottime_ns) override {
        if (!files_.empty())
            sample(boottime_ns);
        return std::exchange(rows_, {});
    }

private:
    struct File {
        wire_holding holding;
        std::vector<std::string> addresses;
    };
    struct Reading {
        Fdinfo info;
        std::set<uint64_t> workloads;
    };

    std::optional<Fdinfo> read(const File &file) {
        errno = 0;
        auto contents = read_text(proc_ + "/" + std::to_string(file.holding.process) + "/fdinfo/" +
                                      std::to_string(file.holding.fd),
                                  kLongestFile);
        if (!contents) {
            if (errno != ENOENT && errno != ESRCH) // gone since the scan
                refusal_ = contents.error().message +
                           (errno == EACCES ? " (CAP_SYS_PTRACE is missing)" : "");
            return std::nullopt;
        }
        Fdinfo info = parse_fdinfo(*contents);
        // The number may lead to another file since the scan.
        bool ours = info.pdev.empty() || file.addresses.empty() ||
                    std::find(file.addresses.begin(), file.addresses.end(), info.pdev) !=
                        file.addresses.end();
        if (info.driver.empty() || !info.client || !ours)
            return std::nullopt;
        return info;
    }

    void sample(uint64_t now_ns) {
        uint64_t at_ns = std::max(now_ns, sampled_ns_); // a window may end before the last look
        refusal_.clear();
        std::map<ClientId, Reading> readings;
        for (const File &file : files_) {
            auto info = read(file);
            if (!info)
                continue;
            Reading &reading = readings[{file.holding.device, *info->client}];
            reading.info = std::move(*info);
            reading.workloads.insert(file.holding.workload);
        }
        std::map<ClientId, Client> clients;
        std::map<WorkKey, uint64_t> memory;
        for (auto &[id, reading] : readings) {
            Client &client = clients[id] = known(id, reading, at_ns);
            count(id, client, reading.info, at_ns);
            add_to(memory[{client.workload, id.device, ""}], reading.info.memory_bytes);
        }
        for (const auto &[key, bytes] : memory) {
            uint64_t &most = rows_[key].memory_bytes;
            most = std::max(most, bytes);
        }
        clients_ = std::move(clients);
        sampled_ns_ = at_ns;
        note_newest();
        absence_.clear();
        if (!files_.empty() && clients_.empty())
            absence_ = refusal_.empty() ? "no driver of a held DRM device tells usage in fdinfo"
                                        : refusal_;
    }

    void note_newest() {
        for (const auto &[id, client] : clients_) {
            if (auto newest = newest_.find(id.device); newest != newest_.end())
                newest->second = std::max(newest->second, id.number);
        }
    }

    // The client as it was at the last reading, with who has it now.
    Client known(const ClientId &id, const Reading &reading, uint64_t at_ns) {
        Client client;
        if (auto before = clients_.find(id); before != clients_.end()) {
            client = std::move(before->second);
            if (!reading.workloads.contains(client.workload))
                client.workload = *reading.workloads.begin();
            return client;
        }
        client.workload = *reading.workloads.begin();
        auto newest = newest_.find(id.device);
        if (newest != newest_.end() && id.number > newest->second) {
            client.read_ns = sampled_ns_;
            return client;
        }
        client.read_ns = at_ns;
        for (const auto &[name, use] : reading.info.engines)
            client.engines[name] = {use, at_ns};
        return client;
    }

    void count(const ClientId &id, Client &client, const Fdinfo &info, uint64_t at_ns) {
        for (const auto &[name, use] : info.engines) {
            // One that a driver names only once it was used (amdgpu) was at zero until then.
            Engine &engine =
                client.engines.try_emplace(name, Engine{{}, client.read_ns}).first->second;
            uint64_t busy = grown(engine, use, at_ns);
            if (busy == 0)
                continue;
            WorkKey key{client.workload, id.device, name};
            WorkFigures &figures = rows_[key];
            figures.busy_ns = figures.busy_ns.value_or(0) + busy;
            figures.capacity = std::max(figures.capacity, use.capacity.value_or(1));
            uint64_t &second = active_[key];
            if (std::exchange(second, at_ns / kSecond + 1) != at_ns / kSecond + 1)
                figures.active_seconds++;
        }
        client.read_ns = at_ns;
    }

    std::string proc_;
    std::string absence_, refusal_;
    std::vector<File> files_; // as the last look had them
    std::map<ClientId, Client> clients_;
    uint64_t sampled_ns_ = 0;             // boottime
    std::map<uint32_t, uint64_t> newest_; // device looked at -> greatest client id seen on it
    std::map<WorkKey, uint64_t> active_;  // the last second with activity, plus one
    WorkRows rows_;                       // since they were taken
};

} // namespace

std::unique_ptr<WorkSource> drm_fdinfo_source(const std::string &proc) {
    return std::make_unique<DrmFdinfo>(proc);
}

} // namespace tally
