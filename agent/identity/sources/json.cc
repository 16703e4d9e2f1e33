#include "agent/identity/sources/json.h"

#include <jansson.h>

namespace tally {

namespace {

// Every value but the first follows a bracket, a comma or a colon outside of strings.
bool is_modest(const std::string &text) {
    size_t depth = 0, values = 0;
    bool in_string = false;
    for (size_t at = 0; at < text.size(); ++at) {
        char c = text[at];
        if (in_string) {
            if (c == '\\')
                ++at;
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '"')
            in_string = true;
        else if (c == '{' || c == '[') {
            ++depth;
            ++values;
        } else if ((c == '}' || c == ']') && depth > 0)
            --depth;
        else if (c == ',' || c == ':')
            ++values;
        if (depth > kDeepestJson || values > kMostJsonValues)
            return false;
    }
    return true;
}

} // namespace

std::optional<Json> Json::parse(const std::string &text) {
    if (!is_modest(text))
        return std::nullopt;
    json_error_t error;
    std::shared_ptr<json_t> value(
        json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, &error),
        [](json_t *each) { json_decref(each); });
    if (value == nullptr)
        return std::nullopt;
    return Json(std::move(value));
}

std::string Json::string(std::initializer_list<const char *> keys) const {
    const json_t *value = value_.get();
    for (const char *key : keys)
        value = json_object_get(value, key); // of no object: nullptr
    const char *text = json_string_value(value);
    return text == nullptr ? std::string() : std::string(text, json_string_length(value));
}

std::optional<Json> Json::at(size_t index) const {
    return part(json_array_get(value_.get(), index));
}

std::optional<Json> Json::member(const char *key) const {
    return part(json_object_get(value_.get(), key));
}

// Kept alive by the whole.
std::optional<Json> Json::part(json_t *value) const {
    if (value == nullptr)
        return std::nullopt;
    return Json(std::shared_ptr<json_t>(value_, value));
}

std::optional<JsonFile> read_json(const HostFiles &files, const std::string &path) {
    auto contents = files.read(path);
    auto json = contents ? Json::parse(contents->text) : std::nullopt;
    if (!json)
        return std::nullopt;
    return JsonFile{std::move(*json), std::move(contents->origin)};
}

} // namespace tally
