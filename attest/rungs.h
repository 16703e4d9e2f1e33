// The ladder of recording: what each rung is called, everywhere.
#pragma once

#include "attest/statement.pb.h"

#include <optional>
#include <string>

namespace tally {

namespace pb = tallystick::v1;

// "exact", "kprobe", "traced", "scanned"; "number N" for one that this version does not know.
std::string rung_name(pb::Rung rung);
std::optional<pb::Rung> rung_named(const std::string &name);

} // namespace tally
