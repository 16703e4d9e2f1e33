// A log where it is published, https://… or http://…, copied as far as it is not there yet into a
// directory of the auditor's: full tiles never change (C2SP tlog-tiles), and the checkpoint goes
// last. The copy is then verified as any other: how it came here adds nothing to its worth.
#pragma once

#include "attest/checkpoint.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tally {

bool is_address(const std::string &log);

// $XDG_CACHE_HOME or $HOME/.cache, /tallystick/<16 hex digits of the address's SHA-256>. An error
// if neither is set.
Result<std::string> copy_directory(const std::string &address);

// An error names the file that is not to be had, and why. `progress` is called with files, not
// entries.
Status copy_log(const std::string &address, const std::vector<NoteKey> &log_keys,
                const std::string &directory,
                const std::function<void(uint64_t done, uint64_t files)> &progress = {});

} // namespace tally
