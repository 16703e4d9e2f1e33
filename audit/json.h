// Writes JSON (RFC 8259), two spaces a level. The caller opens and closes in order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tally {

class JsonWriter {
public:
    // Each takes the member's name inside an object, "" inside an array and at the top.
    JsonWriter &object(std::string_view name = "") { return open(name, '{'); }
    JsonWriter &array(std::string_view name = "") { return open(name, '['); }
    JsonWriter &close(); // the innermost object or array
    JsonWriter &string(std::string_view name, std::string_view value);
    JsonWriter &integer(std::string_view name, uint64_t value);
    JsonWriter &literal(std::string_view name, std::string_view number_or_word);

    const std::string &text() const { return out_; }

private:
    JsonWriter &open(std::string_view name, char bracket);
    void begin_value(std::string_view name);
    void new_line();

    std::string out_;
    std::string open_; // closing brackets, innermost last
    bool first_ = true;
};

// In quotes; control characters, quotes, backslashes and every non-ASCII byte escaped. Bytes are
// read as Latin-1, so that any bytes make a valid string and none is lost.
std::string json_quote(std::string_view raw);

} // namespace tally
