#include "agent/identity/source.h"

#include "agent/identity/sources/sources.h"

#include <algorithm>

namespace tally {

namespace {

struct BuiltIn {
    const char *name;
    std::unique_ptr<Source> (*make)();
};
// A platform that builds on another's units stands before it.
constexpr BuiltIn kBuiltIn[] = {
    {"systemd", systemd_source},
};

} // namespace

const std::vector<std::string> &source_names() {
    static const std::vector<std::string> kNames = [] {
        std::vector<std::string> names;
        for (const BuiltIn &each : kBuiltIn)
            names.emplace_back(each.name);
        return names;
    }();
    return kNames;
}

std::unique_ptr<Source> make_source(const std::string &name) {
    for (const BuiltIn &each : kBuiltIn) {
        if (name == each.name)
            return each.make();
    }
    return nullptr;
}

std::vector<std::string> path_parts(const std::string &path) {
    std::vector<std::string> parts;
    for (size_t at = 0; at < path.size();) {
        size_t end = std::min(path.find('/', at), path.size());
        if (end > at)
            parts.push_back(path.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

std::optional<std::string> between(const std::string &text, const std::string &begin,
                                   const std::string &end) {
    if (text.size() <= begin.size() + end.size() || !text.starts_with(begin) ||
        !text.ends_with(end))
        return std::nullopt;
    return text.substr(begin.size(), text.size() - begin.size() - end.size());
}

void add_name(Identity &identity, const char *key, const std::string &value) {
    if (value.empty())
        return;
    bool cut = value.size() > kMostNameBytes;
    identity.names.push_back({key, cut ? value.substr(0, kMostNameBytes - 1) + "~" : value});
}

} // namespace tally
