// Reads a usage map that another version of the agent left, whatever its layout: the map carries
// the BTF of its key and value, and members are looked up there by name.
#include "agent/record/usage_map.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

namespace tally {

namespace {

struct FreeBtf {
    void operator()(btf *types) const { btf__free(types); }
};

// Reads one unsigned member of a struct; 0 if the struct has no such member (a later invention).
class Layout {
public:
    Layout(const btf *types, uint32_t id) : types_(types) {
        const btf_type *type = btf__type_by_id(types, id);
        while (type != nullptr && btf_is_typedef(type))
            type = btf__type_by_id(types, type->type);
        if (type != nullptr && btf_is_struct(type))
            struct_ = type;
    }

    bool has(const char *name) const { return find(name) != nullptr; }

    uint64_t read(const std::vector<uint8_t> &bytes, const char *name) const {
        const btf_member *member = find(name);
        if (member == nullptr)
            return 0;
        auto size = static_cast<size_t>(btf__resolve_size(types_, member->type));
        size_t offset = member->offset / 8;
        uint64_t value = 0; // little-endian, as every kernel we run on
        if (size <= sizeof(value) && offset + size <= bytes.size())
            std::memcpy(&value, bytes.data() + offset, size);
        return value;
    }

private:
    const btf_member *find(const char *name) const {
        if (struct_ == nullptr)
            return nullptr;
        const btf_member *members = btf_members(struct_);
        for (uint16_t i = 0; i < btf_vlen(struct_); i++) {
            const char *called = btf__name_by_offset(types_, members[i].name_off);
            if (called != nullptr && std::strcmp(called, name) == 0)
                return &members[i];
        }
        return nullptr;
    }

    const btf *types_;
    const btf_type *struct_ = nullptr;
};

void bend(UsageTotals &totals, const UsageTotals &before, uint64_t window) {
    auto grown = static_cast<int64_t>(totals.held_ns - before.held_ns);
    totals.held_ns =
        before.held_ns +
        static_cast<uint64_t>(std::clamp<int64_t>(grown, 0, static_cast<int64_t>(window)));
    totals.opens = std::max(totals.opens, before.opens);
    totals.found = std::max(totals.found, before.found);
    totals.releases = std::max(totals.releases, before.releases);
    totals.untracked = std::max(totals.untracked, before.untracked);
    totals.late_ns = std::max(totals.late_ns, before.late_ns);
}

} // namespace

Result<Totals> read_foreign_usage(int map, uint64_t at_ns, const Reading &before) {
    bpf_map_info info = {};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(map, &info, &size) != 0)
        return errno_error("ask the earlier agent's usage map for its layout");
    std::unique_ptr<btf, FreeBtf> types(btf__load_from_kernel_by_id(info.btf_id));
    if (!types)
        return errno_error("read the layout of the earlier agent's usage map");
    Layout key_layout(types.get(), info.btf_key_type_id);
    Layout value_layout(types.get(), info.btf_value_type_id);
    for (const char *name : {"held_ns", "open_files", "opens"}) {
        if (!value_layout.has(name))
            return Error{"the earlier agent's usage map has no " + std::string(name)};
    }
    Totals totals;
    std::vector<uint8_t> key(info.key_size);
    std::vector<uint8_t> value(info.value_size);
    for (int more = bpf_map_get_next_key(map, nullptr, key.data()); more == 0;
         more = bpf_map_get_next_key(map, key.data(), key.data())) {
        if (bpf_map_lookup_elem(map, key.data(), value.data()) != 0)
            continue;
        UsageKey name{key_layout.read(key, "workload"),
                      static_cast<uint32_t>(key_layout.read(key, "device"))};
        UsageTotals &out = totals[name];
        out.open_files = value_layout.read(value, "open_files");
        out.held_ns = value_layout.read(value, "held_ns") + (out.open_files > 0 ? at_ns : 0);
        out.opens = value_layout.read(value, "opens");
        out.found = value_layout.read(value, "found");
        out.releases = value_layout.read(value, "releases");
        out.untracked = value_layout.read(value, "untracked");
        out.late_ns = value_layout.read(value, "late_ns");
        auto earlier = before.totals.find(name);
        bend(out, earlier == before.totals.end() ? UsageTotals{} : earlier->second,
             at_ns - before.boottime_ns);
    }
    return totals;
}

} // namespace tally
