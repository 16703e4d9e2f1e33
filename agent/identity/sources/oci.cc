#include "agent/identity/sources/oci.h"

namespace tally {

namespace {

// "a-b.slice" -> "/a.slice/a-b.slice"; systemd.slice(5). Empty if it is no slice's name.
std::string expand_slice(const std::string &slice) {
    const std::string suffix = ".slice";
    if (slice == "-.slice")
        return "/";
    if (slice.size() <= suffix.size() || !slice.ends_with(suffix) || slice.front() == '-' ||
        slice.find('/') != std::string::npos)
        return {};
    std::string path;
    std::string name = slice.substr(0, slice.size() - suffix.size());
    for (size_t dash = name.find('-'); dash != std::string::npos; dash = name.find('-', dash + 1))
        path += "/" + name.substr(0, dash) + suffix;
    return path + "/" + slice;
}

} // namespace

std::string cgroup_of(const std::string &cgroups_path) {
    if (cgroups_path.starts_with('/'))
        return cgroups_path;
    size_t first = cgroups_path.find(':');
    size_t second = first == std::string::npos ? first : cgroups_path.find(':', first + 1);
    if (second == std::string::npos)
        return {};
    std::string slice = cgroups_path.substr(0, first);
    std::string prefix = cgroups_path.substr(first + 1, second - first - 1);
    std::string name = cgroups_path.substr(second + 1);
    std::string parent = expand_slice(slice.empty() ? "system.slice" : slice);
    if (parent.empty() || name.empty())
        return {};
    return (parent == "/" ? "" : parent) + "/" + (prefix.empty() ? "" : prefix + "-") + name +
           ".scope";
}

bool is_bundle_of(const Json &bundle, const std::string &cgroup) {
    return !cgroup.empty() && cgroup_of(bundle.string({"linux", "cgroupsPath"})) == cgroup;
}

} // namespace tally
