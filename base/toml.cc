#include "base/toml.h"

#include "base/durable.h"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <cmath>
#include <set>

namespace tally {

struct TomlTable::Parsed {
    std::string path;
    toml::table root;         // owns the nodes; empty in a nested table
    const toml::table *table; // the table being read
    std::set<std::string, std::less<>> read;
    std::optional<Error> failure;

    const toml::node *find(const char *key) {
        read.insert(key);
        return table->get(key);
    }
    void fail(Error error) {
        if (!failure)
            failure = std::move(error);
    }
};

namespace {
std::string place(const std::string &path, const toml::source_region &source) {
    return path + ":" + std::to_string(source.begin.line) + ": ";
}
} // namespace

TomlTable::TomlTable(std::unique_ptr<Parsed> parsed) : parsed_(std::move(parsed)) {
}
TomlTable::TomlTable(TomlTable &&) noexcept = default;
TomlTable::~TomlTable() = default;

Result<TomlTable> TomlTable::load(const std::string &path) {
    auto contents = read_text(path);
    if (!contents)
        return contents.error();
    return parse(*contents, path);
}

Result<TomlTable> TomlTable::parse(const std::string &contents, const std::string &path) {
    toml::parse_result parsed = toml::parse(contents, path);
    if (!parsed) {
        const toml::parse_error &error = parsed.error();
        return Error{path + ":" + std::to_string(error.source().begin.line) + ":" +
                     std::to_string(error.source().begin.column) + ": " +
                     std::string(error.description())};
    }
    auto state = std::make_unique<Parsed>();
    state->path = path;
    state->root = std::move(parsed).table();
    state->table = &state->root;
    return TomlTable(std::move(state));
}

TomlTable &TomlTable::string(const char *key, std::string &out) {
    if (const toml::node *node = parsed_->find(key)) {
        if (const auto *value = node->as_string())
            out = value->get();
        else
            parsed_->fail(error(key, "must be a string"));
    }
    return *this;
}

TomlTable &TomlTable::integer(const char *key, int64_t &out, int64_t least, int64_t most) {
    if (const toml::node *node = parsed_->find(key)) {
        const auto *value = node->as_integer();
        if (value != nullptr && value->get() >= least && value->get() <= most)
            out = value->get();
        else
            parsed_->fail(error(key, "must be a whole number from " + std::to_string(least) +
                                         " to " + std::to_string(most)));
    }
    return *this;
}

TomlTable &TomlTable::number(const char *key, double &out, double least, double most) {
    if (const toml::node *node = parsed_->find(key)) {
        const auto *whole = node->as_integer();
        const auto *value = node->as_floating_point();
        double given = whole != nullptr   ? static_cast<double>(whole->get())
                       : value != nullptr ? value->get()
                                          : NAN;
        if (given >= least && given <= most) // which NaN is not
            out = given;
        else
            parsed_->fail(error(key, "must be a number from " + std::to_string(least) + " to " +
                                         std::to_string(most)));
    }
    return *this;
}

TomlTable &TomlTable::boolean(const char *key, bool &out) {
    if (const toml::node *node = parsed_->find(key)) {
        if (const auto *value = node->as_boolean())
            out = value->get();
        else
            parsed_->fail(error(key, "must be true or false"));
    }
    return *this;
}

TomlTable &TomlTable::strings(const char *key, std::vector<TomlString> &out) {
    const toml::node *node = parsed_->find(key);
    if (node == nullptr)
        return *this;
    const toml::array *array = node->as_array();
    if (array == nullptr || !(array->empty() || array->is_homogeneous<std::string>())) {
        parsed_->fail(error(key, "must be a list of strings"));
        return *this;
    }
    out.clear();
    for (const toml::node &element : *array)
        out.push_back({element.as_string()->get(), element.source().begin.line});
    return *this;
}

TomlTable &TomlTable::strings(const char *key, std::vector<std::string> &out) {
    std::vector<TomlString> strings;
    bool given = parsed_->table->get(key) != nullptr;
    this->strings(key, strings);
    if (!given || parsed_->failure)
        return *this;
    out.clear();
    for (TomlString &string : strings)
        out.push_back(std::move(string.value));
    return *this;
}

TomlTable &TomlTable::required(const char *key) {
    if (parsed_->table->get(key) == nullptr)
        parsed_->fail(Error{place(parsed_->path, parsed_->table->source()) + key + ": missing"});
    return *this;
}

TomlTable &TomlTable::table(const char *key, const std::function<Status(TomlTable &)> &read) {
    const toml::node *node = parsed_->find(key);
    if (node == nullptr)
        return *this;
    if (!node->is_table()) {
        parsed_->fail(error(key, "must be a table: [" + std::string(key) + "]"));
        return *this;
    }
    auto nested = std::make_unique<Parsed>();
    nested->path = parsed_->path;
    nested->table = node->as_table();
    TomlTable inner(std::move(nested));
    if (auto status = read(inner); !status)
        parsed_->fail(status.error());
    return *this;
}

TomlTable &TomlTable::tables(const char *key, const std::function<Status(TomlTable &)> &read) {
    const toml::node *node = parsed_->find(key);
    if (node == nullptr)
        return *this;
    const toml::array *array = node->as_array();
    if (array == nullptr || !(array->empty() || array->is_array_of_tables())) {
        parsed_->fail(error(key, "must be a list of tables: [[" + std::string(key) + "]]"));
        return *this;
    }
    for (const toml::node &element : *array) {
        auto nested = std::make_unique<Parsed>();
        nested->path = parsed_->path;
        nested->table = element.as_table();
        TomlTable inner(std::move(nested));
        if (auto status = read(inner); !status)
            parsed_->fail(status.error());
    }
    return *this;
}

uint32_t TomlTable::line() const {
    return parsed_->table->source().begin.line;
}

uint32_t TomlTable::line(const char *key) const {
    const toml::node *node = parsed_->table->get(key);
    return node != nullptr ? node->source().begin.line : line();
}

Error TomlTable::error(const char *key, const std::string &message) const {
    return Error{parsed_->path + ":" + std::to_string(line(key)) + ": " + key + ": " + message};
}

Status TomlTable::finish() {
    if (parsed_->failure)
        return *parsed_->failure;
    for (const auto &[key, node] : *parsed_->table) {
        if (!parsed_->read.contains(key.str()))
            return Error{place(parsed_->path, node.source()) + std::string(key.str()) +
                         ": unknown key"};
    }
    return ok();
}

} // namespace tally
