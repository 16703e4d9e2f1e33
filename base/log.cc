#include "base/log.h"

#include "base/bytes.h"

#include <cstdlib>
#include <unistd.h>

namespace tally {

Log::Log(std::string program)
    : program_(std::move(program)), journal_(std::getenv("JOURNAL_STREAM") != nullptr) {
}

void Log::write(Priority priority, std::string_view line) const {
    std::string out =
        journal_ ? "<" + std::to_string(static_cast<int>(priority)) + ">" : program_ + ": ";
    if (!journal_ && priority == Priority::kError)
        out += "error: ";
    if (!journal_ && priority == Priority::kWarning)
        out += "warning: ";
    // Values from outside (names, paths, reasons) must not forge a second line.
    out += printable(line, 4096) + "\n";
    // One write per line keeps lines whole; a log that cannot be written has nowhere to say so.
    if (::write(STDERR_FILENO, out.data(), out.size()) < 0)
        return;
}

} // namespace tally
