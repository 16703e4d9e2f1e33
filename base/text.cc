#include "base/text.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <optional>

namespace tally {

namespace {

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kSecond = 1'000'000'000;

template <typename... Values> std::string format(const char *pattern, Values... values) {
    char out[96];
    std::snprintf(out, sizeof(out), pattern, static_cast<unsigned long long>(values)...);
    return out;
}

// To the nearest, without overflow.
uint64_t rounded(uint64_t ns, uint64_t unit) {
    return ns / unit + (ns % unit >= unit / 2 ? 1 : 0);
}

// "" or ".5" to ".123456789", in nanoseconds.
std::optional<uint64_t> fraction(std::string_view text) {
    if (text.empty())
        return 0;
    if (text.front() != '.' || text.size() < 2 || text.size() > 10)
        return std::nullopt;
    uint64_t ns = 0;
    uint64_t unit = kSecond;
    for (char digit : text.substr(1)) {
        if (digit < '0' || digit > '9')
            return std::nullopt;
        unit /= 10;
        ns += static_cast<uint64_t>(digit - '0') * unit;
    }
    return ns;
}

} // namespace

std::string utc_time(uint64_t wall_ns) {
    auto seconds = static_cast<time_t>(wall_ns / kSecond);
    tm parts = {};
    char text[32];
    gmtime_r(&seconds, &parts);
    std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    return text + format(".%03lluZ", wall_ns % kSecond / kMillisecond);
}

Result<uint64_t> parse_time(const std::string &text) {
    Error wrong{"\"" + printable(text) +
                "\" is not a time: write 2026-11-23 or 2026-11-23T18:50:46Z (UTC)"};
    tm parts = {};
    const char *rest = strptime(text.c_str(), "%Y-%m-%d", &parts);
    if (rest == nullptr)
        return wrong;
    uint64_t ns = 0;
    if (*rest != '\0') {
        rest = strptime(rest, "T%H:%M:%S", &parts);
        if (rest == nullptr)
            return wrong;
        std::string_view end = rest;
        if (!end.ends_with('Z'))
            return wrong;
        end.remove_suffix(1);
        auto part = fraction(end);
        if (!part)
            return wrong;
        ns = *part;
    }
    time_t seconds = timegm(&parts);
    if (seconds < 0)
        return wrong;
    // Digits as they are written, and no 31st of November, which timegm takes for the 1st of
    // December.
    auto digits = static_cast<size_t>(rest - text.c_str());
    if (utc_time(static_cast<uint64_t>(seconds) * kSecond).compare(0, digits, text, 0, digits) != 0)
        return wrong;
    return static_cast<uint64_t>(seconds) * kSecond + ns;
}

std::string duration(uint64_t ns) {
    if (rounded(ns, kMillisecond) < 60'000)
        return decimal_seconds(ns) + " s";
    uint64_t seconds = rounded(ns, kSecond);
    uint64_t minutes = seconds / 60;
    if (minutes < 60)
        return format("%llu min %02llu s", minutes, seconds % 60);
    return format("%llu h %02llu min %02llu s", minutes / 60, minutes % 60, seconds % 60);
}

std::string decimal_seconds(uint64_t ns) {
    uint64_t milliseconds = rounded(ns, kMillisecond);
    return format("%llu.%03llu", milliseconds / 1000, milliseconds % 1000);
}

std::string decimal_hours(uint64_t ns) {
    uint64_t parts = rounded(ns, 360'000'000); // ten-thousandths
    return format("%llu.%04llu", parts / 10000, parts % 10000);
}

std::string percent(uint64_t part, uint64_t rest) {
    auto whole = static_cast<unsigned __int128>(part) + rest;
    // Down, so that only a whole is called 100.00 %.
    auto hundredths =
        whole == 0 ? uint64_t{10000}
                   : static_cast<uint64_t>(static_cast<unsigned __int128>(part) * 10000 / whole);
    return format("%llu.%02llu %%", hundredths / 100, hundredths % 100);
}

std::string count_of(uint64_t count, const std::string &noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string csv_field(const std::string &value) {
    std::string safe = printable(value, 4096);
    if (safe.find_first_of("\",") == std::string::npos)
        return safe;
    std::string quoted = "\"";
    for (char c : safe)
        quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
}

std::string json_string(const std::string &value) {
    std::string quoted = "\"";
    for (char c : printable(value, 4096)) {
        if (c == '"' || c == '\\')
            quoted += '\\';
        quoted += c;
    }
    return quoted + "\"";
}

void add_to(uint64_t &total, uint64_t more) {
    total = more > UINT64_MAX - total ? UINT64_MAX : total + more;
}

void Table::add(std::vector<std::string> cells) {
    cells.resize(columns_.size());
    rows_.push_back(std::move(cells));
}

std::string Table::str() const {
    std::vector<size_t> widths(columns_.size());
    for (const auto &row : rows_) {
        for (size_t i = 0; i < row.size(); i++)
            widths[i] = std::max(widths[i], row[i].size());
    }
    std::string text;
    for (const auto &row : rows_) {
        std::string line;
        for (size_t i = 0; i < row.size(); i++) {
            std::string space(widths[i] - row[i].size(), ' ');
            line += i > 0 ? "  " : "";
            line += columns_[i] == Align::kLeft ? row[i] + space : space + row[i];
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

void Page::line(const std::string &label, const std::string &value) {
    size_t gap = label.size() < label_width_ ? label_width_ - label.size() : 1;
    text_.append(label).append(gap, ' ').append(value).append("\n");
}

} // namespace tally
