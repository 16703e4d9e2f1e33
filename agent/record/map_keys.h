// The keys of a BPF map, all of them before any is deleted: a walk that loses its place begins
// anew.
#pragma once

#include <bpf/bpf.h>
#include <vector>

namespace tally {

template <typename Key> std::vector<Key> map_keys(int map) {
    std::vector<Key> keys;
    Key key = {};
    for (int more = bpf_map_get_next_key(map, nullptr, &key); more == 0;
         more = bpf_map_get_next_key(map, &key, &key))
        keys.push_back(key);
    return keys;
}

} // namespace tally
