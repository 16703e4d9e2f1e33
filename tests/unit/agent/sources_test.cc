// Who each platform's cgroups are: tests/vectors/cgroup-paths.data over tests/vectors/host.
#include "agent/identity/names.h"
#include "tests/unit/agent/sources_rig.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>

namespace tally {
namespace {

TEST_F(SourcesTest, NameTheCgroupsOfEveryPlatform) {
    use_captured_host();
    std::vector<CgroupVector> vectors = cgroup_vectors();
    EXPECT_GE(vectors.size(), 60U);
    for (const CgroupVector &each : vectors) {
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
    for (const CgroupVector &each : cgroup_vectors()) {
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
    EXPECT_EQ(listed(identity.names), "libvirt.machine=qemu-6-orphan\nqemu.name=orphan\n"
                                      "qemu.uuid=11111111-2222-4333-8444-555555555555\n");
    EXPECT_TRUE(identity.origins.empty());
    // A command line that names another domain says nothing.
    identity = identify("/machine.slice/machine-qemu\\x2d6\\x2dother.scope", "", {4242});
    EXPECT_EQ(listed(identity.names), "libvirt.machine=qemu-6-other\n");
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

// The issue asks for 200 us: printed as measured, and held to far more, as tests run beside others.
TEST_F(SourcesTest, AreQuick) {
    use_captured_host();
    HostFiles host = files();
    std::vector<std::unique_ptr<Source>> sources;
    for (const std::string &name : source_names())
        sources.push_back(make_source(name));
    std::vector<double> all;
    std::map<std::string, std::vector<double>> by_source;
    for (int round = 0; round < 50; ++round) {
        for (const CgroupVector &each : cgroup_vectors()) {
            auto begin = std::chrono::steady_clock::now();
            Subject subject{each.path, [] { return std::vector<int>(); }};
            for (const auto &source : sources) {
                if (source->identify(subject, host))
                    break;
            }
            std::chrono::duration<double, std::micro> took =
                std::chrono::steady_clock::now() - begin;
            all.push_back(took.count());
            if (!each.files.empty())
                by_source[each.source].push_back(took.count());
        }
    }
    auto median = [](std::vector<double> &values) {
        std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
        return values[values.size() / 2];
    };
    std::printf("median of %zu workloads %.0f us", all.size(), median(all));
    for (auto &[source, values] : by_source)
        std::printf("; with %s's files %.0f us", source.c_str(), median(values));
    // As large as a bundle gets with a long environment.
    const std::string bundle =
        "/run/containerd/io.containerd.runtime.v2.task/default/redis/config.json";
    write(bundle, contents(bundle).insert(1, "\"x\":\"" + std::string(28 << 10, 'x') + "\","));
    std::vector<double> large;
    for (int round = 0; round < 200; ++round) {
        auto begin = std::chrono::steady_clock::now();
        ASSERT_EQ(identify("/default/redis").source, "containerd");
        std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
        large.push_back(took.count());
    }
    std::printf("; with a bundle of 32 KiB %.0f us\n", median(large));
    EXPECT_LT(median(all), 2000);
}

} // namespace
} // namespace tally
