#include "agent/identity/sources/json.h"

#include <cstring>
#include <rapidjson/document.h>

namespace tally {

struct Json::Document {
    std::string text; // the values' strings lie here
    rapidjson::Document parsed;
};

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

const rapidjson::Value *only_member(const rapidjson::Value &object, const char *key) {
    const rapidjson::Value *found = nullptr;
    if (!object.IsObject())
        return nullptr;
    size_t length = std::strlen(key);
    for (const auto &each : object.GetObject()) {
        if (each.name.GetStringLength() != length ||
            std::memcmp(each.name.GetString(), key, length) != 0)
            continue;
        if (found != nullptr)
            return nullptr;
        found = &each.value;
    }
    return found;
}

const rapidjson::Value &value_at(const void *value) {
    return *static_cast<const rapidjson::Value *>(value);
}

} // namespace

std::optional<Json> Json::parse(std::string text) {
    // It reads to the first NUL, which would hide what follows.
    if (text.find('\0') != std::string::npos || !is_modest(text))
        return std::nullopt;
    constexpr unsigned kFlags = rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag |
                                rapidjson::kParseValidateEncodingFlag |
                                rapidjson::kParseNumbersAsStringsFlag;
    auto document = std::make_shared<Document>();
    document->text = std::move(text);
    document->parsed.ParseInsitu<kFlags>(document->text.data());
    if (document->parsed.HasParseError())
        return std::nullopt;
    const rapidjson::Value *root = &document->parsed;
    return Json(std::move(document), root);
}

std::string Json::string(std::initializer_list<const char *> keys) const {
    const rapidjson::Value *value = &value_at(value_);
    for (const char *key : keys) {
        value = only_member(*value, key);
        if (value == nullptr)
            return {};
    }
    return value->IsString() ? std::string(value->GetString(), value->GetStringLength())
                             : std::string();
}

std::optional<Json> Json::at(size_t index) const {
    const rapidjson::Value &array = value_at(value_);
    if (!array.IsArray() || index >= array.Size())
        return std::nullopt;
    return Json(document_, &array[static_cast<rapidjson::SizeType>(index)]);
}

std::optional<Json> Json::member(const char *key) const {
    const rapidjson::Value *value = only_member(value_at(value_), key);
    return value == nullptr ? std::nullopt : std::optional(Json(document_, value));
}

std::optional<JsonFile> read_json(const HostFiles &files, const std::string &path) {
    auto contents = files.read(path, kLargestJson);
    auto json = contents ? Json::parse(std::move(contents->text)) : std::nullopt;
    if (!json)
        return std::nullopt;
    return JsonFile{std::move(*json), std::move(contents->origin)};
}

} // namespace tally
