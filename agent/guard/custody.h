// The kernel objects by which the recording lives: whether they are still there, still wired to
// each other, and still pinned. What was removed is said, and pinned again.
#pragma once

#include "agent/record/kernel_side.h"
#include "attest/statement.pb.h"

#include <functional>
#include <map>
#include <string>
#include <utility>

namespace tally {

class Custody {
public:
    using Note = std::function<void(pb::Event::Kind, const std::string &detail)>;

    // Tells the kernel side who the agent is and which objects are ours.
    Custody(const KernelSide &kernel, Note note);
    // The agent goes, as asked to.
    ~Custody();
    Custody(const Custody &) = delete;
    Custody &operator=(const Custody &) = delete;

    // Once a window.
    void check();
    // "usage", by kind and id; empty if it is not ours (any more).
    std::string name_of(wire_object_kind kind, uint32_t id) const;

private:
    void check_pin(const KernelSide::Held &held, uint32_t id);
    void check_link(const KernelSide::Held &held) const;

    const KernelSide &kernel_;
    Note note_;
    std::map<std::pair<wire_object_kind, uint32_t>, std::string> names_;
    std::map<std::string, uint32_t> programs_; // hook -> id of its program
};

} // namespace tally
