// One line per event on standard error. Under systemd the line starts with "<N>" (sd-daemon(3)),
// so that the journal has its priority; elsewhere with the program's name.
#pragma once

#include <string>
#include <string_view>

namespace tally {

enum class Priority { kError = 3, kWarning = 4, kNotice = 5, kInfo = 6 };

// Names the program in each line. Whether the journal listens is read once from JOURNAL_STREAM.
class Log {
public:
    explicit Log(std::string program);
    void error(std::string_view line) const { write(Priority::kError, line); }
    void warning(std::string_view line) const { write(Priority::kWarning, line); }
    void notice(std::string_view line) const { write(Priority::kNotice, line); }
    void info(std::string_view line) const { write(Priority::kInfo, line); }

private:
    void write(Priority priority, std::string_view line) const;

    std::string program_;
    bool journal_;
};

} // namespace tally
