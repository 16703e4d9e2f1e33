// JSON (RFC 8259) as container runtimes leave it on disk, read strictly by simdjson: valid UTF-8,
// nothing after the value. Bounded before it is parsed: deeper or longer documents than any runtime
// writes are refused, so that none makes the agent grow; but a bundle can be as large as a
// container's environment.
#pragma once

#include "agent/identity/host_files.h"

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tally {

inline constexpr size_t kLargestJson = size_t{4} << 20;
inline constexpr size_t kDeepestJson = 32;
inline constexpr size_t kMostJsonValues = 32768; // a bundle has about 1,000

class Json {
public:
    static std::optional<Json> parse(const std::string &text);

    // The string at the end of `keys`, objects all the way; empty if there is none, or if a key is
    // there twice: readers differ in which one they take.
    std::string string(std::initializer_list<const char *> keys) const;
    std::vector<Json> elements() const; // of an array; none of anything else
    // That member; nothing if this is no object that has it once.
    std::optional<Json> member(const char *key) const;

private:
    struct Value;
    explicit Json(std::shared_ptr<const Value> value) : value_(std::move(value)) {}
    std::shared_ptr<const Value> value_;
};

struct JsonFile {
    Json json;
    Origin origin;
};
// Nothing if it cannot be read or is no JSON.
std::optional<JsonFile> read_json(const HostFiles &files, const std::string &path);

} // namespace tally
