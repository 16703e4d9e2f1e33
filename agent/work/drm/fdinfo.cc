#include "agent/work/drm/fdinfo.h"

#include "base/bytes.h"
#include "base/text.h"

#include <utility>

namespace tally {

namespace {

constexpr size_t kMostNames = 64; // engines, regions; drivers have up to about ten
constexpr size_t kLongestName = 64;
constexpr uint64_t kMostEngines = 1024; // of one name

struct Quantity {
    uint64_t number = 0;
    std::string_view unit;
};

std::optional<Quantity> to_quantity(std::string_view value) {
    auto number = parse_decimal(take_until(value, ' '));
    if (!number)
        return std::nullopt;
    return Quantity{*number, value};
}

std::optional<uint64_t> number_in(std::string_view value, std::string_view unit) {
    auto quantity = to_quantity(value);
    if (!quantity || quantity->unit != unit)
        return std::nullopt;
    return quantity->number;
}

std::optional<uint64_t> to_bytes_of_memory(std::string_view value) {
    auto quantity = to_quantity(value);
    if (!quantity)
        return std::nullopt;
    unsigned shift = quantity->unit == "KiB" ? 10 : quantity->unit == "MiB" ? 20 : 0;
    if ((shift == 0 && !quantity->unit.empty()) || quantity->number > UINT64_MAX >> shift)
        return std::nullopt;
    return quantity->number << shift;
}

void set_first(std::optional<uint64_t> &field, std::optional<uint64_t> value) {
    if (!field)
        field = value;
}

// What stands for the name in `names`; nothing for one too many, or none at all.
template <typename Value> Value *named(std::map<std::string, Value> &names, std::string_view name) {
    if (name.empty() || name.size() > kLongestName)
        return nullptr;
    auto found = names.find(std::string(name));
    if (found == names.end() && names.size() < kMostNames)
        found = names.try_emplace(std::string(name)).first;
    return found == names.end() ? nullptr : &found->second;
}

struct Region {
    std::optional<uint64_t> resident, total;
};

struct Reader {
    Fdinfo info;
    std::map<std::string, Region> regions;

    void read(std::string_view key, std::string_view value) {
        if (key == "drm-driver" && info.driver.empty())
            info.driver = value.substr(0, kLongestName);
        else if (key == "drm-pdev" && info.pdev.empty())
            info.pdev = value.substr(0, kLongestName);
        else if (key == "drm-client-id")
            set_first(info.client, number_in(value, ""));
        else if (!read_engine(key, value))
            read_memory(key, value);
    }

    // Longer prefixes first: "drm-engine-capacity-" is not an engine called "capacity-...".
    bool read_engine(std::string_view key, std::string_view value) {
        static constexpr struct {
            std::string_view prefix;
            std::string_view unit;
            std::optional<uint64_t> EngineUse::*field; // none: the capacity
        } kKeys[] = {
            {"drm-engine-capacity-", "", nullptr},
            {"drm-engine-", "ns", &EngineUse::busy_ns},
            {"drm-cycles-", "", &EngineUse::cycles},
            {"drm-total-cycles-", "", &EngineUse::total_cycles},
        };
        for (const auto &known : kKeys) {
            if (!key.starts_with(known.prefix))
                continue;
            auto number = number_in(value, known.unit);
            EngineUse *engine =
                number ? named(info.engines, key.substr(known.prefix.size())) : nullptr;
            if (engine != nullptr && known.field != nullptr)
                set_first(engine->*known.field, number);
            else if (engine != nullptr && !engine->capacity && *number > 0 &&
                     *number <= kMostEngines)
                engine->capacity = static_cast<uint32_t>(*number);
            return true;
        }
        return false;
    }

    void read_memory(std::string_view key, std::string_view value) {
        static constexpr struct {
            std::string_view prefix;
            std::optional<uint64_t> Region::*field;
        } kKeys[] = {{"drm-resident-", &Region::resident},
                     {"drm-memory-", &Region::resident},
                     {"drm-total-", &Region::total}};
        for (const auto &known : kKeys) {
            if (!key.starts_with(known.prefix))
                continue;
            auto bytes = to_bytes_of_memory(value);
            Region *region = bytes ? named(regions, key.substr(known.prefix.size())) : nullptr;
            if (region != nullptr)
                set_first(region->*known.field, bytes);
        }
    }
};

std::string_view trim(std::string_view text) {
    size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

} // namespace

Fdinfo parse_fdinfo(std::string_view contents) {
    Reader reader;
    while (!contents.empty()) {
        std::string_view line = take_until(contents, '\n');
        std::string_view key = take_until(line, ':');
        reader.read(key, trim(line));
    }
    for (const auto &[name, region] : reader.regions)
        add_to(reader.info.memory_bytes, region.resident ? *region.resident : *region.total);
    return std::move(reader.info);
}

} // namespace tally
