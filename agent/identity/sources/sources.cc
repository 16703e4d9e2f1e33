#include "agent/identity/sources/sources.h"

#include <algorithm>

namespace tally {

Parts path_parts(const std::string &path) {
    Parts parts;
    for (size_t at = 0; at < path.size();) {
        size_t end = std::min(path.find('/', at), path.size());
        if (end > at)
            parts.push_back(path.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

std::string path_of(const Parts &parts, size_t count) {
    std::string path;
    for (size_t i = 0; i < count && i < parts.size(); ++i)
        path += "/" + parts[i];
    return path;
}

std::optional<Parts> parts_below(const std::string &path, const std::string &root) {
    if (path.size() <= root.size() || !path.starts_with(root) || path[root.size()] != '/')
        return std::nullopt;
    return path_parts(path.substr(root.size()));
}

UnitPath unit_path(const std::string &cgroup_path) {
    UnitPath path;
    Parts parts = path_parts(cgroup_path);
    auto at = parts.begin();
    while (at != parts.end() && at->ends_with(".slice"))
        path.slices.push_back(std::move(*at++));
    if (at != parts.end() && (at->ends_with(".service") || at->ends_with(".scope")))
        path.unit = std::move(*at++);
    path.below.assign(std::make_move_iterator(at), std::make_move_iterator(parts.end()));
    return path;
}

std::string unescape_unit(const std::string &name) {
    auto digit = [](char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    std::string plain;
    for (size_t at = 0; at < name.size(); ++at) {
        if (name[at] == '\\' && at + 3 < name.size() && name[at + 1] == 'x' &&
            digit(name[at + 2]) >= 0 && digit(name[at + 3]) >= 0) {
            plain += static_cast<char>(digit(name[at + 2]) * 16 + digit(name[at + 3]));
            at += 3;
        } else {
            plain += name[at];
        }
    }
    return plain;
}

std::optional<std::string> between(const std::string &text, const std::string &begin,
                                   const std::string &end) {
    if (text.size() <= begin.size() + end.size() || !text.starts_with(begin) ||
        !text.ends_with(end))
        return std::nullopt;
    return text.substr(begin.size(), text.size() - begin.size() - end.size());
}

bool is_digits(const std::string &text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

bool is_container_id(const std::string &text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool is_file_name(const std::string &text) {
    return !text.empty() && text != "." && text != ".." && text.find('/') == std::string::npos;
}

void add_name(Identity &identity, const char *key, const std::string &value) {
    if (value.empty())
        return;
    bool cut = value.size() > kMostNameBytes;
    identity.names.push_back({key, cut ? value.substr(0, kMostNameBytes - 1) + "~" : value});
}

} // namespace tally
