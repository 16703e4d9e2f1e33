// The sources, one a file, and what they share.
#pragma once

#include "agent/identity/source.h"

#include <optional>
#include <string>
#include <vector>

namespace tally {

std::unique_ptr<Source> systemd_source();

// "/a/b" -> {"a", "b"}; empty parts are left out.
std::vector<std::string> path_parts(const std::string &path);
// What stands between the two, if `text` begins and ends with them and there is something.
std::optional<std::string> between(const std::string &text, const std::string &begin,
                                   const std::string &end);
// Unless the value is empty; cut to kMostNameBytes.
void add_name(Identity &identity, const char *key, const std::string &value);

} // namespace tally
