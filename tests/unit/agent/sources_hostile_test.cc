// What a tenant can do to its cgroups' names, and what could be done to a platform's files: never a
// crash, never a workload that is lost, never somebody else's name.
#include "agent/identity/names.h"
#include "tests/unit/agent/sources_rig.h"

#include <functional>
#include <random>
#include <set>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace tally {
namespace {

const std::string kApp = "a7d5abb6929d08ba68a730155789dfa82ece2a2309b1ff9f524d258dfee29b22";
const std::string kPodUid = "0d4c7f6e-5a6b-4c1e-9f3b-2f6f4d1c8a90";
const std::string kPod = "/kubepods.slice/kubepods-burstable.slice/"
                         "kubepods-burstable-pod0d4c7f6e_5a6b_4c1e_9f3b_2f6f4d1c8a90.slice";
const std::string kCgroup = kPod + "/cri-containerd-" + kApp + ".scope";
const std::string kBundle =
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" + kApp + "/config.json";
const std::string kDomainCgroup =
    "/machine.slice/machine-qemu\\x2d3\\x2dinstance\\x2d0000002a.scope";
const std::string kDomainFile = "/run/libvirt/qemu/instance-0000002a.xml";

std::string with(std::string text, const std::string &old, const std::string &now) {
    size_t at = text.find(old);
    EXPECT_NE(at, std::string::npos) << old;
    return at == std::string::npos ? text : text.replace(at, old.size(), now);
}
std::string repeated(const std::string &text, size_t times) {
    std::string all;
    for (size_t i = 0; i < times; ++i)
        all += text;
    return all;
}

class HostileTest : public SourcesTest {
protected:
    HostileTest() { use_captured_host(); }
    void expect_container_alone() {
        Identity identity = identify(kCgroup);
        EXPECT_EQ(listed(identity.names),
                  "kubernetes.pod_uid=" + kPodUid + "\nkubernetes.container_id=" + kApp + "\n");
        EXPECT_TRUE(identity.origins.empty());
    }
    void expect_machine_alone() {
        Identity identity = identify(kDomainCgroup);
        EXPECT_EQ(listed(identity.names), "libvirt.machine=qemu-3-instance-0000002a\n");
        EXPECT_TRUE(identity.origins.empty());
    }
    void expect_well_formed(const Identity &identity, const std::string &cgroup) {
        static const std::set<std::string> kKeys = [] {
            std::set<std::string> keys;
            for (const NameKey &each : kNameKeys)
                keys.insert(each.key);
            return keys;
        }();
        std::set<std::string> seen;
        for (const Name &name : identity.names) {
            EXPECT_TRUE(kKeys.contains(name.key)) << name.key;
            EXPECT_TRUE(seen.insert(name.key).second) << name.key << " twice of " << cgroup;
            EXPECT_FALSE(name.value.empty()) << name.key;
            EXPECT_LE(name.value.size(), kMostNameBytes) << name.key;
        }
        EXPECT_EQ(identity.source.empty(), identity.names.empty()) << cgroup;
    }
};

TEST_F(HostileTest, WhatIsBelowAWorkloadDoesNotRenameIt) {
    std::vector<CgroupVector> vectors = cgroup_vectors();
    for (const CgroupVector &outer : vectors) {
        if (outer.source.empty() || !outer.asked.empty())
            continue;
        for (const CgroupVector &inner : vectors) {
            Identity identity = identify(outer.path + inner.path);
            EXPECT_EQ(identity.source, outer.source) << outer.path << " + " << inner.path;
            EXPECT_EQ(listed(identity.names), listed(outer.names))
                << outer.path << " + " << inner.path;
        }
    }
}

TEST_F(HostileTest, NobodyIsBelievedOutsideAPlatform) {
    for (const char *own : {"/tenants/acme", "/system.slice/rented.service",
                            "/user.slice/user-1000.slice/user@1000.service",
                            "/user.slice/user-1000.slice/session-3.scope", "/lxc.payload.evil",
                            "/machine.slice/machine-evil.scope", "/firecracker/evil"}) {
        Identity plain = identify(own);
        for (const CgroupVector &inner : cgroup_vectors()) {
            Identity identity = identify(own + inner.path);
            std::erase_if(identity.names,
                          [](const Name &name) { return name.key == "login.unit"; });
            EXPECT_EQ(identity.source, plain.source) << own << inner.path;
            EXPECT_EQ(listed(identity.names), listed(plain.names)) << own << inner.path;
            EXPECT_TRUE(identity.origins.empty()) << own << inner.path;
        }
    }
}

TEST_F(HostileTest, NoPathHoweverOddIsTooMuch) {
    std::mt19937 random(20261120);
    std::vector<CgroupVector> vectors = cgroup_vectors();
    auto any = [&](size_t count) { return static_cast<size_t>(random()) % count; };
    for (int round = 0; round < 20000; ++round) {
        std::string cgroup = vectors[any(vectors.size())].path;
        for (size_t edits = any(4) + 1; edits > 0; --edits) {
            size_t at = any(cgroup.size() + 1);
            switch (any(6)) {
            case 0:
                cgroup.insert(at, 1, static_cast<char>(random())); // NUL and "/" too
                break;
            case 1:
                cgroup.erase(at, any(8));
                break;
            case 2:
                cgroup.insert(at, vectors[any(vectors.size())].path);
                break;
            case 3:
                cgroup.insert(at, at % 2 == 0 ? "\n" : "\xff\xfe");
                break;
            case 4:
                cgroup.insert(at, "\\x2f..\\x00\\xff\\x");
                break;
            default:
                cgroup = cgroup.substr(0, at);
            }
        }
        for (const std::string &name : source_names())
            expect_well_formed(identify(cgroup, name), cgroup);
    }
}

TEST_F(HostileTest, NoPathHoweverLongIsTooMuch) {
    for (const std::string &part :
         {std::string("a"), std::string(255, 'a'), std::string(255, '\n'), std::string("\\x2d"),
          std::string("kubepods.slice/"), std::string("user-1.slice/"), std::string("podx/"),
          std::string("/"), std::string("\xc3"), std::string("job_1/"),
          "libpod-" + kApp + ".scope/"}) {
        std::string longest = repeated(part, 4096 / part.size());
        for (const char *begin :
             {"/", "/kubepods/", "/lxc/", "/lxc.payload.", "/machine.slice/machine-",
              "/machine.slice/machine-qemu\\x2d1\\x2d", "/system.slice/slurmstepd.scope/",
              "/user.slice/", "/libpod_parent/", "/default/", "/firecracker/", "/machine/"}) {
            for (const char *end : {"", ".scope", ".service", ".slice", ".libvirt-qemu"})
                expect_well_formed(identify(begin + longest + end), begin + part + end);
        }
    }
    Identity identity = identify("/lxc.payload." + std::string(300, 'x'));
    EXPECT_EQ(identity.name("lxc.container"), std::string(kMostNameBytes - 1, 'x') + "~");
}

TEST_F(HostileTest, ABundleOfAnotherContainerIsNotUsed) {
    const std::string bundle = contents(kBundle);
    ASSERT_FALSE(identify(kCgroup).origins.empty());
    write(kBundle, with(bundle, "sandbox-uid\":\"0d4c7f6e", "sandbox-uid\":\"7b1d2c3e"));
    expect_container_alone(); // another pod's UID
    write(kBundle, with(bundle, "cri-containerd:a7d5", "cri-containerd:b7d5"));
    expect_container_alone(); // another container's cgroup
    write(kBundle,
          with(bundle, "kubepods-burstable-pod0d4c7f6e", "kubepods-burstable-pod1d4c7f6e"));
    expect_container_alone();
    write(kBundle, with(bundle, "\"cgroupsPath\"", "\"cgroupspath\""));
    expect_container_alone();
    write(kBundle, with(bundle, "\"io.kubernetes.cri.sandbox-uid\"", "\"sandbox-uid\""));
    expect_container_alone(); // containerd before 1.5 says none
    write(kBundle, bundle);
    EXPECT_EQ(identify(kCgroup).name("kubernetes.namespace"), "team-a");
}

TEST_F(HostileTest, AStateFileOfAnotherContainerIsNotUsed) {
    const std::string id = "6fa0f514be6e725277546916542d748922aa30ab8e84b594bc4e9e7142ba5ce0";
    const std::string file = "/var/lib/docker/containers/" + id + "/config.v2.json";
    const std::string pod = "/kubepods/pod7b1d2c3e-4f50-4a6b-8c7d-9e0f1a2b3c4d/" + id;
    const std::string state = contents(file);
    ASSERT_EQ(identify(pod).name("kubernetes.namespace"), "team-d");
    write(file, with(state, "\"ID\":\"6fa0", "\"ID\":\"7fa0"));
    EXPECT_EQ(identify(pod).name("kubernetes.namespace"), "");
    EXPECT_EQ(identify("/docker/" + id).name("docker.container"), "");
    write(file, with(state, "pod.uid\":\"7b1d", "pod.uid\":\"8b1d"));
    EXPECT_EQ(identify(pod).name("kubernetes.namespace"), "");
}

TEST_F(HostileTest, OfADomainOnlyItsOwnFileIsUsed) {
    const std::string file = contents(kDomainFile);
    ASSERT_EQ(identify(kDomainCgroup).name("openstack.project_name"), "globex-ml");
    write(kDomainFile, with(file, "<name>instance-0000002a", "<name>instance-0000002b"));
    expect_machine_alone();
    write(kDomainFile, with(file, "<domain type='kvm' id='3'>", "<domain type='kvm' id='33'>"));
    expect_machine_alone();
    write(kDomainFile, with(file, "<domain type='kvm' id='3'>", "<domain type='kvm'>"));
    expect_machine_alone();
    // Said twice: somebody's text got into somebody's markup.
    write(kDomainFile,
          with(file, "<uuid>", "<uuid>00000000-0000-0000-0000-000000000000</uuid><uuid>"));
    expect_machine_alone();
    write(kDomainFile, with(file, "<nova:owner>", "<nova:owner><nova:project uuid='victim'/>"));
    expect_machine_alone();
    // Another namespace's owner is none.
    write(kDomainFile,
          with(file, "http://openstack.org/xmlns/libvirt/nova/1.1", "http://evil/1.1"));
    EXPECT_EQ(identify(kDomainCgroup).name("libvirt.uuid"), "3f2504e0-4f89-41d3-9a0c-0305e82c3301");
    EXPECT_EQ(identify(kDomainCgroup).name("openstack.project"), "");
}

TEST_F(HostileTest, XmlBombsAreRefused) {
    const std::string file = contents(kDomainFile);
    std::string laughs = "<!DOCTYPE d [<!ENTITY l0 \"lol\">";
    for (int i = 1; i < 10; ++i) {
        std::string ten = repeated("&l" + std::to_string(i - 1) + ";", 10);
        laughs += "<!ENTITY l" + std::to_string(i) + " \"" + ten + "\">";
    }
    laughs += "]>";
    const std::string body = file.substr(file.find("<domstatus"));
    std::vector<std::string> bombs = {
        laughs + with(body, "<name>instance-0000002a", "<name>&l9;"),
        "<!DOCTYPE d>" + body,
        "<!DOCTYPE d [<!ENTITY x SYSTEM \"file:///etc/shadow\">]>" +
            with(body, "<name>instance-0000002a", "<name>&x;"),
        "<!DOCTYPE d SYSTEM \"http://evil/d.dtd\">" + body,
        "<domstatus>" + repeated("<a>", 200000),
        with(body, "<devices>", "<devices>" + repeated("<a>", 65) + repeated("</a>", 65)),
        with(body, "<name>instance-0000002a", "<name>instance-0000002a" + std::string(5000, 'a')),
        with(body, "<domain ", "<domain " + std::string(1 << 20, ' ')), // over the file's limit
        body.substr(0, body.size() / 2),
        with(body, "globex-ml", "globex\xff"),
        with(body, "globex-ml", std::string("globex\0ml", 9)),
        "",
        std::string(1, '\0'),
    };
    for (const std::string &bomb : bombs) {
        SCOPED_TRACE(bomb.substr(0, 60));
        write(kDomainFile, bomb);
        expect_machine_alone();
    }
    write(kDomainFile, body);
    EXPECT_EQ(identify(kDomainCgroup).name("libvirt.domain"), "instance-0000002a");
}

TEST_F(HostileTest, JsonBombsAreRefused) {
    const std::string bundle = contents(kBundle);
    const std::string inside = "\"root\":";
    auto put = [&](const std::string &more) { return with(bundle, inside, more + "," + inside); };
    std::vector<std::string> bombs = {
        repeated("[", 500000),
        repeated("{\"a\":", 100000),
        put("\"x\":" + repeated("[", 33) + repeated("]", 33)),
        put("\"x\":[" + repeated("{},", 33000) + "{}]"),
        put("\"x\":[" + repeated("0,", 400000) + "0]"),
        put("\"x\":\"" + std::string(4 << 20, 'x') + "\""), // over the file's limit
        put("\"annotations\":{\"io.kubernetes.cri.sandbox-namespace\":\"victim\"}"), // twice
        with(bundle, inside, "\"x\":\"" + std::string(1, '\0') + "\"," + inside),
        with(bundle, "\"team-a\"", "\"team-\xff\""),
        with(bundle, "\"team-a\"", "\"team-\\ud800\""),
        put("\"x\":1e999999"),
        put("\"x\":12345678901234567890123"),
        bundle + "{}",
        bundle.substr(0, bundle.size() - 1),
        "",
        "null",
        "[]",
        "\"" + kApp + "\"",
    };
    for (const std::string &bomb : bombs) {
        SCOPED_TRACE(bomb.substr(0, 60));
        write(kBundle, bomb);
        expect_container_alone();
    }
    // Odd, but harmless: braces in strings are no depth, and other types no names.
    write(kBundle, put("\"x\":\"" + repeated("[{,:\\\"", 20000) + "\""));
    EXPECT_EQ(identify(kCgroup).name("kubernetes.namespace"), "team-a");
    write(kBundle, put("\"x\":\"" + std::string(3 << 20, 'x') + "\""));
    EXPECT_EQ(identify(kCgroup).name("kubernetes.namespace"), "team-a");
    write(kBundle, put("\"x\":[-0.5e-9,18446744073709551615,-9223372036854775808]"));
    EXPECT_EQ(identify(kCgroup).name("kubernetes.namespace"), "team-a");
    // A key that is there twice is not there; the rest is.
    write(kBundle, with(bundle, "\"io.kubernetes.cri.sandbox-namespace\"",
                        "\"io.kubernetes.cri.sandbox-namespace\":\"victim\","
                        "\"io.kubernetes.cri.sandbox-namespace\""));
    EXPECT_EQ(identify(kCgroup).name("kubernetes.namespace"), "");
    EXPECT_EQ(identify(kCgroup).name("kubernetes.pod"), "infer-0");
    write(kBundle, with(bundle, "\"team-a\"", "[\"team-a\"]"));
    EXPECT_EQ(identify(kCgroup).name("kubernetes.namespace"), "");
    EXPECT_EQ(identify(kCgroup).name("kubernetes.pod"), "infer-0");
}

TEST_F(HostileTest, NamesAreKeptAsTheyAreAndCut) {
    const std::string bundle = contents(kBundle);
    write(kBundle, with(bundle, "\"team-a\"", "\"a\\nb\\u202e\\u001b[2J\""));
    EXPECT_EQ(identify(kCgroup).name("kubernetes.namespace"), "a\nb\xe2\x80\xae\x1b[2J");
    write(kBundle, with(bundle, "\"team-a\"", "\"team-\\u0000a\""));
    EXPECT_EQ(identify(kCgroup).name("kubernetes.namespace"), std::string("team-\0a", 7));
    write(kBundle, with(bundle, "\"team-a\"", "\"" + std::string(300, 'n') + "\""));
    EXPECT_EQ(identify(kCgroup).name("kubernetes.namespace"), std::string(252, 'n') + "~");
}

TEST_F(HostileTest, WhatOthersCanWriteIsNotRead) {
    ASSERT_EQ(chmod(path(kBundle).c_str(), 0620), 0);
    expect_container_alone();
    ASSERT_EQ(chmod(path(kBundle).c_str(), 0602), 0);
    expect_container_alone();
    ASSERT_EQ(chmod(path(kBundle).c_str(), 0644), 0);
    EXPECT_EQ(identify(kCgroup).name("kubernetes.namespace"), "team-a");
    if (geteuid() != 0)
        GTEST_SKIP() << "only root can give a file away";
    ASSERT_EQ(chown(path(kBundle).c_str(), 1000, 0), 0);
    expect_container_alone();
}

TEST_F(HostileTest, OnlyAFileIsRead) {
    const std::string file = path(kBundle);
    const std::string kept = contents(kBundle);
    auto replaced = [&](const std::function<int()> &make) {
        std::filesystem::remove_all(file);
        return make();
    };
    ASSERT_EQ(replaced([&] { return mkfifo(file.c_str(), 0600); }), 0);
    expect_container_alone(); // and returns
    ASSERT_EQ(replaced([&] { return mkdir(file.c_str(), 0700); }), 0);
    expect_container_alone();
    write("/elsewhere/config.json", kept);
    ASSERT_EQ(replaced([&] { return symlink("/elsewhere/config.json", file.c_str()); }), 0);
    expect_container_alone();
    ASSERT_EQ(replaced([&] { return symlink(file.c_str(), file.c_str()); }), 0);
    expect_container_alone();
    if (geteuid() == 0) {
        ASSERT_EQ(replaced([&] { return mknod(file.c_str(), S_IFCHR | 0600, makedev(1, 5)); }), 0);
        expect_container_alone(); // /dev/zero
    }
}

TEST_F(HostileTest, NoLinkLeadsOutOfTheRoot) {
    // A directory that is a link is followed, as /var/run is; "/" and ".." stay within the root.
    const std::string run = path("/run");
    Scratch outside;
    std::filesystem::copy(run, outside / "run", std::filesystem::copy_options::recursive);
    std::filesystem::rename(run, path("/moved"));
    ASSERT_EQ(symlink((outside / "run").c_str(), run.c_str()), 0);
    expect_container_alone();
    expect_machine_alone();
    std::filesystem::remove(run);
    ASSERT_EQ(symlink("../../../../../../../../moved", run.c_str()), 0);
    EXPECT_EQ(identify(kCgroup).name("kubernetes.namespace"), "team-a");
    std::filesystem::remove(run);
    ASSERT_EQ(symlink("/proc/self/root/moved", run.c_str()), 0);
    expect_container_alone();
}

} // namespace
} // namespace tally
