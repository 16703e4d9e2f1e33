// JSON (RFC 8259) as container runtimes leave it on disk, read strictly by libjansson: valid UTF-8,
// no key twice, nothing after the value. Bounded before it is parsed: deeper or longer documents
// than any runtime writes are refused, so that none makes the agent grow.
#pragma once

#include "agent/identity/host_files.h"

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>

struct json_t;

namespace tally {

inline constexpr size_t kDeepestJson = 32;
inline constexpr size_t kMostJsonValues = 32768; // a bundle has about 1,000

class Json {
public:
    static std::optional<Json> parse(const std::string &text);

    // The string at the end of `keys`, objects all the way; empty if there is none.
    std::string string(std::initializer_list<const char *> keys) const;
    // Elements of an array, if that is what this is: none at `index` or behind it otherwise.
    std::optional<Json> at(size_t index) const;
    // That member; nothing if this is no object that has it.
    std::optional<Json> member(const char *key) const;

private:
    explicit Json(std::shared_ptr<json_t> value) : value_(std::move(value)) {}
    std::optional<Json> part(json_t *value) const;
    std::shared_ptr<json_t> value_;
};

struct JsonFile {
    Json json;
    Origin origin;
};
// Nothing if it cannot be read or is no JSON.
std::optional<JsonFile> read_json(const HostFiles &files, const std::string &path);

} // namespace tally
