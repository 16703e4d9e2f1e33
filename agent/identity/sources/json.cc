#include "agent/identity/sources/json.h"

#define SIMDJSON_EXCEPTIONS 0
#include <simdjson.h>
#include <string_view>

namespace tally {

namespace dom = simdjson::dom;

struct Json::Value {
    std::shared_ptr<const dom::parser> parser; // in whose memory the document is
    dom::element element;
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

std::optional<dom::element> only_member(dom::element value, std::string_view key) {
    dom::object object;
    std::optional<dom::element> found;
    if (value.get(object) != simdjson::SUCCESS)
        return std::nullopt;
    for (const auto &each : object) {
        if (each.key != key)
            continue;
        if (found)
            return std::nullopt;
        found = each.value;
    }
    return found;
}

} // namespace

std::optional<Json> Json::parse(const std::string &text) {
    if (!is_modest(text))
        return std::nullopt;
    auto parser = std::make_shared<dom::parser>();
    dom::element root;
    if (parser->parse(text).get(root) != simdjson::SUCCESS)
        return std::nullopt;
    return Json(std::make_shared<Value>(Value{std::move(parser), root}));
}

std::string Json::string(std::initializer_list<const char *> keys) const {
    dom::element value = value_->element;
    for (const char *key : keys) {
        auto member = only_member(value, key);
        if (!member)
            return {};
        value = *member;
    }
    std::string_view text;
    return value.get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

std::vector<Json> Json::elements() const {
    dom::array array;
    std::vector<Json> elements;
    if (value_->element.get(array) != simdjson::SUCCESS)
        return elements;
    for (dom::element each : array)
        elements.push_back(Json(std::make_shared<Value>(Value{value_->parser, each})));
    return elements;
}

std::optional<Json> Json::member(const char *key) const {
    auto member = only_member(value_->element, key);
    if (!member)
        return std::nullopt;
    return Json(std::make_shared<Value>(Value{value_->parser, *member}));
}

std::optional<JsonFile> read_json(const HostFiles &files, const std::string &path) {
    auto contents = files.read(path, kLargestJson);
    auto json = contents ? Json::parse(contents->text) : std::nullopt;
    if (!json)
        return std::nullopt;
    return JsonFile{std::move(*json), std::move(contents->origin)};
}

} // namespace tally
