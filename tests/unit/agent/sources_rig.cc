#include "tests/unit/agent/sources_rig.h"

#include <map>

namespace tally {

std::vector<CgroupVector> cgroup_vectors() {
    std::ifstream data("tests/vectors/cgroup-paths.data");
    EXPECT_TRUE(data) << "run in the repository's root";
    std::vector<CgroupVector> vectors;
    std::map<std::string, std::string, std::greater<>> variables; // longer names first
    std::string line;
    for (int number = 1; std::getline(data, line); ++number) {
        if (line.empty() || line[0] == '#')
            continue;
        for (const auto &[name, value] : variables) {
            for (size_t at = line.find("$" + name); at != std::string::npos;
                 at = line.find("$" + name, at))
                line.replace(at, name.size() + 1, value);
        }
        std::string key = line.substr(0, line.find(' '));
        std::string rest = line.substr(std::min(key.size() + 1, line.size()));
        if (key == "let") {
            size_t space = rest.find(' ');
            variables[rest.substr(0, space)] = rest.substr(space + 1);
        } else if (key == "path") {
            vectors.push_back({.where = "cgroup-paths.data:" + std::to_string(number)});
            vectors.back().path = rest;
        } else if (key == "from") {
            vectors.back().from = rest;
        } else if (key == "asked") {
            vectors.back().asked = rest;
        } else if (key == "source") {
            vectors.back().source = rest == "-" ? "" : rest;
        } else if (key == "name") {
            size_t equals = rest.find('=');
            vectors.back().names.push_back({rest.substr(0, equals), rest.substr(equals + 1)});
        } else if (key == "file") {
            vectors.back().files.push_back(rest);
        } else {
            ADD_FAILURE() << "cgroup-paths.data:" << number << ": " << line;
        }
    }
    return vectors;
}

std::string listed(const std::vector<Name> &names) {
    std::string list;
    for (const Name &each : names)
        list += each.key + "=" + each.value + "\n";
    return list;
}

void SourcesTest::use_captured_host() const {
    std::filesystem::copy("tests/vectors/host", root_.path(),
                          std::filesystem::copy_options::recursive);
    for (const auto &each : std::filesystem::recursive_directory_iterator(root_.path()))
        std::filesystem::permissions(each.path(),
                                     std::filesystem::perms(each.is_directory() ? 0755 : 0600));
}

void SourcesTest::write(const std::string &file, const std::string &text) const {
    std::filesystem::create_directories(std::filesystem::path(path(file)).parent_path());
    spill(path(file), view(text));
    std::filesystem::permissions(path(file), std::filesystem::perms(0600));
}

std::string SourcesTest::contents(const std::string &file) const {
    return std::string(text(slurp(path(file))));
}

HostFiles SourcesTest::files() const {
    auto opened = HostFiles::open(root_.path());
    if (!opened)
        ADD_FAILURE() << opened.error().message;
    return std::move(*opened);
}

Identity SourcesTest::identify(const std::string &cgroup, const std::string &asked,
                               const std::vector<int> &processes) const {
    HostFiles host = files();
    Subject subject{cgroup, [&] { return processes; }};
    for (const std::string &name : asked.empty() ? source_names() : std::vector{asked}) {
        if (auto identity = make_source(name)->identify(subject, host))
            return *identity;
    }
    return {};
}

} // namespace tally
