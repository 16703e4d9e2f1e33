#include "agent/self.h"

#include "base/bytes.h"
#include "base/durable.h"

#include <array>
#include <cstring>
#include <link.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

namespace tally {

Result<std::string> read_boot_id() {
    const char *path = "/proc/sys/kernel/random/boot_id";
    auto contents = read_text(path);
    if (!contents)
        return contents.error();
    std::string digits;
    for (char c : *contents) {
        if (c != '-' && c != '\n')
            digits += c;
    }
    auto id = from_hex(digits);
    if (!id || id->size() != 16)
        return Error{std::string(path) + ": not a boot id"};
    return std::string(text(*id));
}

std::string build_id() {
    std::string found;
    // The first object is the program itself.
    dl_iterate_phdr(
        [](dl_phdr_info *object, size_t, void *out) {
            for (int i = 0; i < object->dlpi_phnum; i++) {
                const ElfW(Phdr) &header = object->dlpi_phdr[i];
                if (header.p_type != PT_NOTE)
                    continue;
                const auto *at =
                    reinterpret_cast<const uint8_t *>(object->dlpi_addr + header.p_vaddr);
                const auto *end = at + header.p_memsz;
                while (at + sizeof(ElfW(Nhdr)) <= end) {
                    ElfW(Nhdr) note;
                    std::memcpy(&note, at, sizeof(note));
                    const auto *name = at + sizeof(note);
                    const auto *description = name + size_t{note.n_namesz + 3} / 4 * 4;
                    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
                        std::memcmp(name, "GNU", 4) == 0)
                        *static_cast<std::string *>(out) = to_hex({description, note.n_descsz});
                    at = description + size_t{note.n_descsz + 3} / 4 * 4;
                }
            }
            return 1;
        },
        &found);
    return found;
}

std::string kernel_release() {
    utsname names = {};
    uname(&names);
    return names.release;
}

std::string missing_capabilities() {
    struct Needed {
        unsigned bit;
        const char *name;
    };
    constexpr std::array<Needed, 4> kNeeded = {{{CAP_BPF, "CAP_BPF"},
                                                {CAP_PERFMON, "CAP_PERFMON"},
                                                {CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
                                                {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"}}};
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets = {};
    syscall(SYS_capget, &header, sets.data());
    std::string missing;
    for (const Needed &needed : kNeeded) {
        if ((sets[needed.bit / 32].effective & 1U << needed.bit % 32) != 0)
            continue;
        missing += (missing.empty() ? "" : ", ") + std::string(needed.name);
    }
    return missing;
}

} // namespace tally
