// Reading a tree laid out as sysfs or procfs, whatever is in it: what is not there, not readable,
// too large or no such thing reads as empty, and text is printable.
#pragma once

#include "agent/record/devices.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tally {

// The entries' names, sorted; at most 65,536 of them. `directory` may be a symbolic link.
std::vector<std::string> list_names(const std::string &directory);
std::vector<std::filesystem::path> list_directory(const std::filesystem::path &directory);

// An attribute's first line. Larger than a page, as none of sysfs is, it is not read at all.
std::string read_attribute(const std::filesystem::path &path);
// One that is a decimal number ("-1" and other text: nothing), or one like "0x10de", without "0x".
std::optional<uint32_t> read_number(const std::filesystem::path &path);
std::string read_hex(const std::filesystem::path &path);
// The lines of a longer file, whole if it has at most `limit` bytes, else none.
void for_each_line(const std::filesystem::path &path, size_t limit,
                   const std::function<void(std::string_view line)> &take);

// The last name in what a symbolic link points to: "nvidia" of ".../driver".
std::string link_name(const std::filesystem::path &link);

// Adds a node whose number is in a sysfs directory's "dev" attribute, "226:128".
void add_node(std::vector<DeviceNode> &nodes, const std::filesystem::path &sysfs,
              const std::string &path);
// The major number of a driver's character devices by /proc/devices, "510 nvidia-caps".
std::optional<uint32_t> character_major(const DeviceRoots &roots, std::string_view name);

} // namespace tally
