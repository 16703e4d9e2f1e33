#include "agent/inventory/tree.h"

#include "base/bytes.h"
#include "base/durable.h"

#include <algorithm>
#include <dirent.h>
#include <limits>
#include <memory>

namespace tally {

namespace fs = std::filesystem;

namespace {

constexpr size_t kPage = 4096; // include/linux/sysfs.h: what a show function may write
constexpr size_t kMostEntries = 65536;
constexpr size_t kLongestText = 128; // of a driver's words
constexpr size_t kProcDevices = 65536;
// include/linux/kdev_t.h: a device number has 12 and 20 bits.
constexpr uint32_t kLastMajor = 0xfff;
constexpr uint32_t kLastMinor = 0xfffff;

std::optional<uint32_t> to_number(std::string_view digits) {
    auto value = parse_decimal(digits);
    if (!value || *value > std::numeric_limits<uint32_t>::max())
        return std::nullopt;
    return static_cast<uint32_t>(*value);
}

} // namespace

std::vector<std::string> list_names(const std::string &directory) {
    std::vector<std::string> names;
    std::unique_ptr<DIR, int (*)(DIR *)> open(opendir(directory.c_str()), closedir);
    if (!open)
        return names;
    while (const dirent *entry = readdir(open.get())) {
        std::string name = entry->d_name;
        if (name != "." && name != "..")
            names.push_back(std::move(name));
        if (names.size() == kMostEntries)
            break;
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<fs::path> list_directory(const fs::path &directory) {
    std::vector<fs::path> found;
    for (const std::string &name : list_names(directory.string()))
        found.push_back(directory / name);
    return found;
}

std::string read_attribute(const fs::path &path) {
    auto contents = read_text(path.string(), kPage);
    if (!contents)
        return {};
    std::string_view rest = *contents;
    return printable(take_until(rest, '\n'), kLongestText);
}

std::optional<uint32_t> read_number(const fs::path &path) {
    return to_number(read_attribute(path));
}

std::string read_hex(const fs::path &path) {
    std::string text = read_attribute(path);
    if (text.starts_with("0x"))
        text.erase(0, 2);
    bool hex = text.find_first_not_of("0123456789abcdef") == std::string::npos;
    return hex ? text : std::string();
}

void for_each_line(const fs::path &path, size_t limit,
                   const std::function<void(std::string_view line)> &take) {
    auto contents = read_text(path.string(), limit);
    if (!contents)
        return;
    std::string_view rest = *contents;
    while (!rest.empty())
        take(take_until(rest, '\n'));
}

std::string link_name(const fs::path &link) {
    std::error_code none;
    return printable(fs::read_symlink(link, none).filename().string(), kLongestText);
}

void add_node(std::vector<DeviceNode> &nodes, const fs::path &sysfs, const std::string &path) {
    std::string numbers = read_attribute(sysfs / "dev");
    std::string_view rest = numbers;
    auto major = to_number(take_until(rest, ':'));
    auto minor = to_number(rest);
    if (major && minor && *major <= kLastMajor && *minor <= kLastMinor)
        nodes.push_back({printable(path), *major, *minor});
}

// "Character devices:", lines "MAJOR NAME", the number right-aligned; then "Block devices:"
// (fs/proc/devices.c, fs/char_dev.c chrdev_show).
std::optional<uint32_t> character_major(const DeviceRoots &roots, std::string_view name) {
    std::optional<uint32_t> found;
    bool blocks = false;
    for_each_line(roots.proc + "/devices", kProcDevices, [&](std::string_view line) {
        blocks |= line == "Block devices:";
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        std::string_view number = take_until(line, ' ');
        if (!blocks && line == name)
            found = to_number(number);
    });
    return found;
}

} // namespace tally
