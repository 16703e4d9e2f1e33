// Who each platform's cgroups are: tests/vectors/cgroup-paths.data over tests/vectors/host.
#include "agent/identity/names.h"
#include "tests/unit/agent/sources_rig.h"

#include <algorithm>
#include <map>
#include <set>

namespace tally {
namespace {

struct Vector {
    std::string where; // file and line
    std::string path, from, asked, source;
    std::vector<Name> names;
    std::vector<std::string> files;
};

std::vector<Vector> read_vectors() {
    std::ifstream data("tests/vectors/cgroup-paths.data");
    EXPECT_TRUE(data) << "run in the repository's root";
    std::vector<Vector> vectors;
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
        list += "name " + each.key + "=" + each.value + "\n";
    return list;
}

TEST_F(SourcesTest, NameTheCgroupsOfEveryPlatform) {
    use_captured_host();
    std::vector<Vector> vectors = read_vectors();
    EXPECT_GE(vectors.size(), 60U);
    for (const Vector &each : vectors) {
        SCOPED_TRACE(each.where + ": " + each.path);
        EXPECT_FALSE(each.from.empty());
        Identity identity = identify(each.path, each.asked);
        EXPECT_EQ(identity.source, each.source);
        EXPECT_EQ(listed(identity.names), listed(each.names));
        std::vector<std::string> files;
        for (const Origin &origin : identity.origins) {
            files.push_back(origin.path);
            EXPECT_EQ(origin.digest, sha256(slurp(path(origin.path)))) << origin.path;
        }
        EXPECT_EQ(files, each.files);
    }
}

TEST_F(SourcesTest, EachHasVectorsAndEveryNameIsInTheVocabulary) {
    std::set<std::string> sources, keys, known;
    for (const Vector &each : read_vectors()) {
        sources.insert(each.source);
        for (const Name &name : each.names)
            keys.insert(name.key);
    }
    for (const std::string &name : source_names())
        EXPECT_TRUE(sources.contains(name)) << name;
    for (const NameKey &each : kNameKeys)
        known.insert(each.key);
    known.erase("qemu.name"); // of a process: below
    known.erase("qemu.uuid");
    EXPECT_EQ(keys, known);
    EXPECT_TRUE(std::is_sorted(
        std::begin(kNameKeys), std::end(kNameKeys),
        [](const NameKey &a, const NameKey &b) { return std::string(a.key) < b.key; }));
}

TEST_F(SourcesTest, TellsQemusOwnWordAsSuchWhereLibvirtLeftNoFile) {
    use_captured_host();
    const std::string scope = "/machine.slice/machine-qemu\\x2d6\\x2dorphan.scope";
    Identity identity = identify(scope, "", {77, 4242});
    EXPECT_EQ(listed(identity.names), "name libvirt.machine=qemu-6-orphan\nname qemu.name=orphan\n"
                                      "name qemu.uuid=11111111-2222-4333-8444-555555555555\n");
    EXPECT_TRUE(identity.origins.empty());
    // A command line that names another domain says nothing.
    identity = identify("/machine.slice/machine-qemu\\x2d6\\x2dother.scope", "", {4242});
    EXPECT_EQ(listed(identity.names), "name libvirt.machine=qemu-6-other\n");
}

TEST_F(SourcesTest, ARootOfItsOwnIsTakenByThoseThatHaveOne) {
    for (const char *name : {"kubernetes:/a", "docker:/a/b", "firecracker:/a"})
        EXPECT_NE(make_source(name), nullptr) << name;
    for (const char *name : {"slurm:/a", "docker:", "docker:/", "docker:a", "docker:/a/", ":/a", "",
                             "nosuch", "docker "})
        EXPECT_EQ(make_source(name), nullptr) << name;
    for (const std::string &name : source_names()) {
        ASSERT_NE(make_source(name), nullptr) << name;
        EXPECT_EQ(make_source(name)->name(), name);
    }
}

TEST_F(SourcesTest, ConfiguredExampleHasTheDefaults) {
    std::string all;
    for (const std::string &name : source_names())
        all += (all.empty() ? "\"" : ", \"") + name + "\"";
    std::string example(text(slurp("config/tallyd.toml")));
    std::string listed = example.substr(example.find("# sources = [") + 13);
    listed.resize(listed.find(']'));
    for (size_t at = listed.find("\n#"); at != std::string::npos; at = listed.find("\n#")) {
        size_t end = listed.find_first_not_of(" ", at + 2);
        listed.replace(at, end - at, " ");
    }
    EXPECT_EQ(listed, all);
}

} // namespace
} // namespace tally
