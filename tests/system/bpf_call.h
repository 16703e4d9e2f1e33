// bpf(2) as somebody else would use it on the agent's objects.
#pragma once

#include "base/fd.h"

#include <cstdint>
#include <cstring>
#include <linux/bpf.h>
#include <string>
#include <sys/syscall.h>

namespace tally {

inline long bpf_call(bpf_cmd command, bpf_attr &attributes) {
    return syscall(SYS_bpf, command, &attributes, sizeof(attributes));
}

inline Fd open_pin(const std::string &path) {
    bpf_attr attributes = {};
    attributes.pathname = reinterpret_cast<uint64_t>(path.c_str());
    return Fd(static_cast<int>(bpf_call(BPF_OBJ_GET, attributes)));
}

inline bool pin(int fd, const std::string &path) {
    bpf_attr attributes = {};
    attributes.bpf_fd = static_cast<uint32_t>(fd);
    attributes.pathname = reinterpret_cast<uint64_t>(path.c_str());
    return bpf_call(BPF_OBJ_PIN, attributes) == 0;
}

inline bpf_link_info link_info(int fd) {
    bpf_link_info info = {};
    bpf_attr attributes = {};
    attributes.info.bpf_fd = static_cast<uint32_t>(fd);
    attributes.info.info_len = sizeof(info);
    attributes.info.info = reinterpret_cast<uint64_t>(&info);
    bpf_call(BPF_OBJ_GET_INFO_BY_FD, attributes);
    return info;
}

inline Fd open_program(uint32_t id) {
    bpf_attr attributes = {};
    attributes.prog_id = id;
    return Fd(static_cast<int>(bpf_call(BPF_PROG_GET_FD_BY_ID, attributes)));
}

inline bool replace_program(int link, int program) {
    bpf_attr attributes = {};
    attributes.link_update.link_fd = static_cast<uint32_t>(link);
    attributes.link_update.new_prog_fd = static_cast<uint32_t>(program);
    return bpf_call(BPF_LINK_UPDATE, attributes) == 0;
}

inline bool delete_entry(int map, uint32_t key) {
    bpf_attr attributes = {};
    attributes.map_fd = static_cast<uint32_t>(map);
    attributes.key = reinterpret_cast<uint64_t>(&key);
    return bpf_call(BPF_MAP_DELETE_ELEM, attributes) == 0;
}

} // namespace tally
