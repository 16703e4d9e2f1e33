// JSON (RFC 8259) as container runtimes leave it on disk, read strictly by RapidJSON: valid UTF-8,
// nothing after the value. Bounded before it is parsed: deeper or longer documents than any runtime
// writes are refused, so that none makes the agent grow. In its own text, without a copy: a bundle
// can be as large as a container's environment.
#pragma once

#include "agent/identity/host_files.h"

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>

namespace tally {

inline constexpr size_t kLargestJson = size_t{4} << 20;
inline constexpr size_t kDeepestJson = 32;
inline constexpr size_t kMostJsonValues = 32768; // a bundle has about 1,000

class Json {
public:
    static std::optional<Json> parse(std::string text);

    // The string at the end of `keys`, objects all the way; empty if there is none, or if a key is
    // there twice: readers differ in which one they take.
    std::string string(std::initializer_list<const char *> keys) const;
    // That element of an array; nothing if this is none, or shorter.
    std::optional<Json> at(size_t index) const;
    // That member; nothing if this is no object that has it once.
    std::optional<Json> member(const char *key) const;

private:
    struct Document;
    Json(std::shared_ptr<const Document> document, const void *value)
        : document_(std::move(document)), value_(value) {}
    std::shared_ptr<const Document> document_;
    const void *value_; // in it
};

struct JsonFile {
    Json json;
    Origin origin;
};
// Nothing if it cannot be read or is no JSON.
std::optional<JsonFile> read_json(const HostFiles &files, const std::string &path);

} // namespace tally
