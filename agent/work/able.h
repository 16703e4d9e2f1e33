// What nvidia_rm and kfd have in common: a driver that gives processes channels or queues by
// ioctl(2), on a control file of its own. Without one a process can hold a device and run nothing.
//
// For each process that holds a device of the driver's, its time is told in three parts, in whole
// seconds that add up over windows:
//
//   with      it had one at least. At most so long: what a process leaves to its exit, and what
//             ends with something else than its parents, counts until the process is seen to be
//             gone (within a second). Exact as far as the processes destroy theirs themselves.
//   without   it held a device, the hooks were there before it, and it had none
//   unknown   it held a device before the hooks were there for a second, and none is known
//
// Counts of what was created, destroyed and refused are exact while the hooks are attached.
#pragma once

#include "agent/work/ioctl_hooks.h"
#include "agent/work/work.h"
#include "bpf/work/wire.h"

#include <array>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>

namespace tally {

class AbleSource : public WorkSource {
public:
    const char *name() const override { return words_.name; }
    pb::Grade grade() const override { return pb::GRADE_ABLE; }
    std::string absence() const override { return absence_; }
    void look(const Look &look) override;
    WorkRows take(uint64_t boottime_ns) override;

protected:
    struct Words {
        const char *name;
        const char *things; // "channels"
        const char *created;
        const char *created_other;
    };
    AbleSource(const Words &words, std::span<const std::byte> elf, std::string proc)
        : words_(words), elf_(elf), proc_(std::move(proc)) {}

    // The device number of the driver's control file (bpf/wire.h); nothing: it has none at present.
    virtual std::optional<uint32_t> find_control() const = 0;
    // Whether who holds this device could ask the driver.
    virtual bool concerns(const Device &device) const = 0;
    // Whether what it asks for is on this device, if it holds no other such.
    virtual bool may_be_meant(const Device &device) const { return concerns(device); }
    // The devices by what the driver calls them when it is asked.
    virtual std::map<uint32_t, uint32_t> find_places(const Look &) const { return {}; }
    // Why what this device's driver is asked cannot be read; empty: it can.
    virtual std::string objection(const Device &) const { return {}; }

    // As of this look.
    const std::optional<uint32_t> &control() const { return control_; }

private:
    struct Process {
        uint64_t workload = 0;
        uint32_t process = 0;
        auto operator<=>(const Process &) const = default;
    };
    struct Holder {
        std::optional<uint32_t> device; // the only one it holds
        uint64_t told_ns = 0;           // boottime up to which its time is told
        bool observed = false;          // since it holds any
    };
    using Place = std::pair<Process, uint32_t>; // work_able_key
    enum Time { kWith, kWithout, kUnknown, kTimes };

    bool prepare(const Look &look);
    void attach(uint64_t boottime_ns);
    void let_go(uint64_t boottime_ns);
    void see_holders(const Look &look);
    void collect(uint64_t boottime_ns, bool all_end);
    uint64_t take_entry(const Place &place, const work_able &now, bool gone, uint64_t boottime_ns);
    uint64_t new_able_ns(const work_able &now, uint64_t told, uint64_t boottime_ns) const;
    void forget_objects(const std::set<Place> &gone);
    void tell_time(const Process &process, Holder &holder, uint64_t boottime_ns);
    void tell(const WorkKey &key, Time which, uint64_t ns);
    WorkKey row_of(const Place &place) const;

    Words words_;
    std::span<const std::byte> elf_;
    std::string proc_;
    std::string absence_;
    std::optional<uint32_t> control_;
    bool tried_ = false; // to load the hooks
    std::optional<IoctlHooks> hooks_;
    uint64_t attached_ns_ = 0;  // boottime
    uint64_t collected_ns_ = 0; // likewise
    std::map<Process, Holder> holders_;
    std::map<Process, uint64_t> able_ns_; // of each holder's time that is not told yet
    std::map<uint32_t, uint32_t> places_; // find_places, as last looked
    std::map<Place, work_able> taken_;
    std::map<WorkKey, std::array<uint64_t, kTimes>> carried_; // ns, less than a second each
    WorkRows rows_;                                           // since the last take
};

} // namespace tally
