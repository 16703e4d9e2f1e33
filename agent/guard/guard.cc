#include "agent/guard/guard.h"

#include "agent/guard/tracer.h"

#include <algorithm>

namespace tally {

namespace {

// Looking takes a few milliseconds, and uevents come by the hundred when a driver is loaded.
constexpr uint64_t kBetweenLooks = kSecond / 5;
// Statements read their two clocks one after the other: a step between agents shows from here on.
constexpr int64_t kSmallestStepApart = 100'000'000;

} // namespace

Guard::Guard(Loop &loop, Note note) : note_(std::move(note)), drivers_(note_) {
    loop.on_pause(
        [this](const std::string &detail) { note_(pb::Event::KIND_AGENT_PAUSED, detail); });
    start("clock", watch_clock(loop));
    start("uevents", watch_uevents(loop));
    start("mig", watch_mig(loop));
}

void Guard::start(const char *name, const Status &started) {
    hooks_.push_back(
        {name, static_cast<bool>(started), started ? "" : started.error().message, ""});
}

Status Guard::watch_clock(Loop &loop) {
    auto clock = ClockWatch::start();
    if (!clock)
        return clock.error();
    TALLY_TRY(loop.watch(clock->fd(), [this](uint32_t) { read_clock(); }));
    clock_ = std::move(*clock);
    return ok();
}

Status Guard::watch_uevents(Loop &loop) {
    auto uevents = Uevents::open();
    if (!uevents)
        return uevents.error();
    TALLY_TRY(loop.watch(uevents->fd(), [this](uint32_t) { read_uevents(); }));
    uevents_ = std::move(*uevents);
    return ok();
}

Status Guard::watch_mig(Loop &loop) {
    auto mig = MigWatch::start();
    if (!mig)
        return mig.error();
    TALLY_TRY(loop.watch(mig->fd(), [this](uint32_t) {
        if (mig_ && mig_->check())
            look_soon();
    }));
    mig_ = std::move(*mig);
    return ok();
}

void Guard::look_soon() {
    look_due_ns_ = std::min(look_due_ns_, std::max(now().boottime_ns, looked_ns_ + kBetweenLooks));
}

void Guard::read_clock() {
    if (!clock_)
        return;
    if (auto step = clock_->check())
        note_(pb::Event::KIND_CLOCK_SET, *step);
}

void Guard::read_uevents() {
    if (!uevents_)
        return;
    Uevents::Batch batch = uevents_->read();
    bool concerned = batch.lost;
    for (const Uevent &event : batch.events) {
        drivers_.on_uevent(event);
        concerned |= concerns_devices(event);
    }
    if (concerned)
        look_soon();
}

void Guard::resume(Instant last) {
    Instant at = now();
    auto before = static_cast<int64_t>(last.wall_ns - last.boottime_ns);
    int64_t step = static_cast<int64_t>(at.wall_ns - at.boottime_ns) - before;
    if (step > kSmallestStepApart || step < -kSmallestStepApart)
        note_(pb::Event::KIND_CLOCK_SET, "by about " + std::string(step > 0 ? "+" : "") +
                                             std::to_string(step) +
                                             " ns while the agent was not running");
}

void Guard::looked(const Inventory &inventory) {
    looked_ns_ = now().boottime_ns;
    look_due_ns_ = kNever;
    read_uevents(); // before sysfs is read again, or their drivers would be told twice
    drivers_.look();
    if (mig_) {
        if (auto watched = mig_->looked(); !watched) {
            mig_.reset();
            std::erase_if(hooks_, [](const HookState &hook) { return hook.name == "mig"; });
            start("mig", watched);
        }
    }
    std::set<uint32_t> present(inventory.present().begin(), inventory.present().end());
    for (const auto &[index, device] : inventory.all())
        drivers_.watch(device.pci_addresses);
    for (uint32_t index : present) {
        if (introduced_ && !present_.contains(index))
            note_(pb::Event::KIND_DEVICE_ADDED, describe(inventory.all().at(index)));
    }
    for (uint32_t index : present_) {
        if (!present.contains(index))
            note_(pb::Event::KIND_DEVICE_REMOVED, inventory.all().at(index).id);
    }
    present_ = std::move(present);
    introduced_ = true;
}

std::string Guard::describe(const Device &device) const {
    std::string text = device.id;
    if (!device.pci_id.empty())
        text += " (" + device.pci_id + ")";
    for (const std::string &address : device.pci_addresses) {
        std::string driver = drivers_.driver_of(address);
        text += ", " + address + (driver.empty() ? " without driver" : " with driver " + driver);
    }
    return text;
}

void Guard::inspect() {
    read_clock();
    if (auto tracer = find_tracer())
        note_(pb::Event::KIND_AGENT_TRACED, *tracer);
}

} // namespace tally
