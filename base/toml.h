// Strict reading of TOML: a key nobody asked for, a wrong type or a value out of range is an error
// that names file, line and key. Each table is read once, key by key, then closed.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tally {

// A string and where it stands.
struct TomlString {
    std::string value;
    uint32_t line = 0;
};

class TomlTable {
public:
    // Parses a file's contents; `path` is for messages. The error carries line and column.
    static Result<TomlTable> parse(const std::string &contents, const std::string &path);
    static Result<TomlTable> load(const std::string &path);

    // Each reader leaves `out` as it was if the key is absent. The first error is kept; finish()
    // returns it, or an error for the first key that was never read.
    TomlTable &string(const char *key, std::string &out);
    TomlTable &integer(const char *key, int64_t &out, int64_t least, int64_t most);
    TomlTable &number(const char *key, double &out, double least, double most); // whole ones too
    TomlTable &boolean(const char *key, bool &out);
    TomlTable &strings(const char *key, std::vector<std::string> &out);
    TomlTable &strings(const char *key, std::vector<TomlString> &out);
    TomlTable &required(const char *key); // an error if the key is absent
    TomlTable &table(const char *key, const std::function<Status(TomlTable &)> &read);
    TomlTable &tables(const char *key, const std::function<Status(TomlTable &)> &read);
    uint32_t line() const;                // of the table's head
    uint32_t line(const char *key) const; // of the key's value; of the table if it is absent
    // An error about a value of this table, with file and line: "FILE:LINE: KEY: MESSAGE".
    Error error(const char *key, const std::string &message) const;
    Status finish();

    TomlTable(TomlTable &&) noexcept;
    ~TomlTable();

private:
    struct Parsed;
    explicit TomlTable(std::unique_ptr<Parsed> parsed);
    std::unique_ptr<Parsed> parsed_;
};

} // namespace tally
