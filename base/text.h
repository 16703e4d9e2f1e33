// How times, durations and names are written for people, spreadsheets and programs, and times read.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <string>
#include <vector>

namespace tally {

std::string utc_time(uint64_t wall_ns); // "2026-11-23T17:03:56.120Z"
// "2026-11-23", "2026-11-23T18:50:46Z", with or without a fraction: nanoseconds since 1970, UTC.
Result<uint64_t> parse_time(const std::string &text);
std::string duration(uint64_t ns);                 // "12.034 s", "4 min 10 s", "3 h 04 min 10 s"
std::string decimal_seconds(uint64_t ns);          // "12.034", rounded
std::string decimal_hours(uint64_t ns);            // "0.0033", rounded
std::string percent(uint64_t part, uint64_t rest); // part of part + rest, "99.98 %", rounded down
std::string count_of(uint64_t count, const std::string &noun); // "1 finding", "2 findings"

std::string csv_field(const std::string &value);   // RFC 4180 section 2
std::string json_string(const std::string &value); // RFC 8259 section 7, with its quotes

// Sums that a hostile host cannot make wrap around.
void add_to(uint64_t &total, uint64_t more);

// Lines of columns, each as wide as its widest cell.
class Table {
public:
    enum class Align { kLeft, kRight };
    explicit Table(std::vector<Align> columns) : columns_(std::move(columns)) {}
    void add(std::vector<std::string> cells); // one a column
    std::string str() const;

private:
    std::vector<Align> columns_;
    std::vector<std::vector<std::string>> rows_;
};

// Lines of a label and a value, the values under each other.
class Page {
public:
    explicit Page(size_t label_width) : label_width_(label_width) {}
    void line(const std::string &label, const std::string &value);
    const std::string &text() const { return text_; }

private:
    size_t label_width_;
    std::string text_;
};

} // namespace tally
