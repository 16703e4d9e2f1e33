#include "agent/statement/events.h"

#include "base/bytes.h"

#include <cctype>

namespace tally {

bool Events::note(pb::Event::Kind kind, const std::string &detail, uint64_t boottime_ns) {
    std::string said = printable(detail);
    size_t of_this_kind = 0;
    for (Noted &noted : noted_) {
        if (noted.event.kind() != kind)
            continue;
        if (noted.event.detail() == said) {
            noted.times++;
            return false;
        }
        of_this_kind++;
    }
    Noted fresh;
    fresh.event.set_kind(kind);
    fresh.event.set_boottime_ns(boottime_ns);
    if (of_this_kind < kMostOfAKind && noted_.size() < kMost) {
        fresh.event.set_detail(said);
        noted_.push_back(std::move(fresh));
    } else if (auto [left_out, first] = left_out_.try_emplace(kind, fresh); !first) {
        left_out->second.times++;
        return false;
    }
    return true;
}

std::vector<pb::Event> Events::all(const std::function<void(pb::Event &)> &let_out) const {
    std::vector<pb::Event> all;
    for (const Noted &noted : noted_) {
        pb::Event &event = all.emplace_back(noted.event);
        if (let_out)
            let_out(event);
        if (noted.times > 1)
            event.set_detail(event.detail() + " (" + std::to_string(noted.times) + " times)");
    }
    for (const auto &[kind, noted] : left_out_) {
        pb::Event &event = all.emplace_back(noted.event);
        event.set_detail(std::to_string(noted.times) + " more of this kind");
    }
    return all;
}

void Events::clear() {
    noted_.clear();
    left_out_.clear();
}

std::string event_line(pb::Event::Kind kind, const std::string &detail) {
    std::string name = pb::Event::Kind_Name(kind);
    for (char &c : name)
        c = c == '_' ? ' ' : static_cast<char>(std::tolower(c));
    return name.substr(std::string_view("KIND_").size()) + ": " + printable(detail);
}

} // namespace tally
