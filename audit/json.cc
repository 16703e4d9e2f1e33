#include "audit/json.h"

#include <cstdio>

namespace tally {

std::string json_quote(std::string_view raw) {
    std::string out = "\"";
    for (char c : raw) {
        auto byte = static_cast<unsigned char>(c);
        if (byte == '"' || byte == '\\') {
            out += '\\';
            out += c;
        } else if (byte >= 0x20 && byte < 0x7f) {
            out += c;
        } else {
            char escape[8];
            std::snprintf(escape, sizeof(escape), "\\u%04x", byte);
            out += escape;
        }
    }
    return out + "\"";
}

void JsonWriter::new_line() {
    out_ += '\n';
    out_.append(2 * open_.size(), ' ');
}

void JsonWriter::begin_value(std::string_view name) {
    if (!first_)
        out_ += ',';
    if (!open_.empty())
        new_line();
    if (!name.empty())
        out_ += json_quote(name) + ": ";
    first_ = false;
}

JsonWriter &JsonWriter::open(std::string_view name, char bracket) {
    begin_value(name);
    out_ += bracket;
    open_ += bracket == '{' ? '}' : ']';
    first_ = true;
    return *this;
}

JsonWriter &JsonWriter::close() {
    char bracket = open_.back();
    open_.pop_back();
    if (!first_)
        new_line();
    out_ += bracket;
    if (open_.empty())
        out_ += '\n';
    first_ = false;
    return *this;
}

JsonWriter &JsonWriter::string(std::string_view name, std::string_view value) {
    return literal(name, json_quote(value));
}
JsonWriter &JsonWriter::integer(std::string_view name, uint64_t value) {
    return literal(name, std::to_string(value));
}
JsonWriter &JsonWriter::literal(std::string_view name, std::string_view number_or_word) {
    begin_value(name);
    out_ += number_or_word;
    return *this;
}

} // namespace tally
