// Real cgroups of this kernel, and real containers of runc and crun in them.
#include "agent/identity/cgroups.h"
#include "tests/unit/agent/sources_rig.h"

#include <cerrno>
#include <fcntl.h>
#include <mntent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tally {
namespace {

std::string cgroup2_mount() {
    std::string directory;
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    while (const mntent *entry = mounts == nullptr ? nullptr : getmntent(mounts)) {
        if (std::string(entry->mnt_type) == "cgroup2")
            directory = entry->mnt_dir;
    }
    if (mounts != nullptr)
        endmntent(mounts);
    return directory;
}

uint64_t id_of(const std::string &directory) {
    struct stat status = {};
    EXPECT_EQ(stat(directory.c_str(), &status), 0) << directory;
    return status.st_ino;
}

class CgroupsTest : public SourcesTest {
protected:
    void SetUp() override {
        if (geteuid() != 0)
            GTEST_SKIP() << "only root can make cgroups";
        mount_ = cgroup2_mount();
        if (mount_.empty())
            GTEST_SKIP() << "no cgroup v2 hierarchy is mounted here";
        auto opened = Cgroups::open();
        if (!opened)
            GTEST_SKIP() << opened.error().message;
        cgroups_ = std::make_unique<Cgroups>(std::move(*opened));
        name_ = "/tally-test-" + std::to_string(getpid());
        make(name_);
    }
    void TearDown() override {
        for (auto each = made_.rbegin(); each != made_.rend(); ++each)
            EXPECT_EQ(rmdir(each->c_str()), 0) << *each << ": " << std::strerror(errno);
    }
    std::string make(const std::string &cgroup) {
        std::string directory = mount_ + cgroup;
        EXPECT_EQ(mkdir(directory.c_str(), 0755), 0) << directory << ": " << std::strerror(errno);
        made_.push_back(directory);
        return directory;
    }

    std::string mount_, name_;
    std::unique_ptr<Cgroups> cgroups_;
    std::vector<std::string> made_;
};

TEST_F(CgroupsTest, APathIsKeptWhateverItEndsIn) {
    for (const char *odd : {"/a (deleted)", "/b\x01\xff\\x2d", "/c//deleted"}) {
        std::string name = name_ + odd;
        if (name.find("//") != std::string::npos)
            make(name.substr(0, name.find("//"))); // "c", and in it "deleted"
        std::string directory = make(name);
        std::string clean = name;
        if (size_t twice = clean.find("//"); twice != std::string::npos)
            clean.erase(twice, 1);
        EXPECT_EQ(cgroups_->path(id_of(directory)), clean);
    }
    uint64_t gone = id_of(make(name_ + "/gone (deleted)"));
    ASSERT_EQ(rmdir(made_.back().c_str()), 0);
    made_.pop_back();
    EXPECT_EQ(cgroups_->path(gone), "");
}

TEST_F(CgroupsTest, APathTooLongForAnyCallLeadsToWhomItIsBelow) {
    std::string part(250, 'n');
    std::string directory = mount_ + name_;
    Fd at(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    std::vector<Fd> above;
    for (int depth = 0; depth < 20; ++depth) { // 5,000 bytes
        ASSERT_EQ(mkdirat(at.get(), part.c_str(), 0755), 0) << std::strerror(errno);
        Fd below(openat(at.get(), part.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        ASSERT_TRUE(below);
        above.push_back(std::move(at));
        at = std::move(below);
    }
    struct stat status = {};
    ASSERT_EQ(fstat(at.get(), &status), 0);
    std::string path = cgroups_->path(status.st_ino);
    EXPECT_GT(path.size(), 3500U);
    EXPECT_LT(path.size(), 4096U);
    EXPECT_TRUE(path.starts_with(name_ + "/" + part + "/" + part)) << path.substr(0, 80);
    EXPECT_TRUE(path.ends_with("/~"));
    for (; !above.empty(); above.pop_back())
        EXPECT_EQ(unlinkat(above.back().get(), part.c_str(), AT_REMOVEDIR), 0);
}

TEST_F(CgroupsTest, ThreadsStandForTheProcessesOfAThreadedCgroup) {
    std::string process = make(name_ + "/vm"), thread = make(name_ + "/vm/vcpu0");
    std::ofstream(thread + "/cgroup.type") << "threaded" << std::flush;
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    std::ofstream(process + "/cgroup.procs") << child << std::flush;
    std::ofstream(thread + "/cgroup.threads") << child << std::flush;
    EXPECT_EQ(cgroups_->processes(id_of(thread)), std::vector<int>{child});
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
}

// The bundle's own directory is where containerd has it, so that what the runtime read is what the
// source reads.
class Container {
public:
    Container(std::string runtime, const std::string &bundle, const std::string &state)
        : command_(runtime + " --root " + state), bundle_(bundle) {}
    ~Container() { shell(command_ + " delete -f tally"); }
    // Empty if it runs. A mount namespace of its own, as these ask what is mounted at
    // /sys/fs/cgroup.
    std::string start() { return shell(command_ + " run -d --bundle " + bundle_ + " tally"); }

private:
    // What it printed. Into a file: a container that runs on would keep a pipe open.
    std::string shell(const std::string &command) const {
        std::string said = bundle_ + "/said";
        std::string script = "mount -t cgroup2 none /sys/fs/cgroup && " + command;
        int status = std::system(("unshare -m --propagation private sh -c '" + script + "' >" +
                                  said + " 2>&1 </dev/null")
                                     .c_str());
        std::string output(text(slurp(said)));
        return status == 0 || !output.empty() ? output : "status " + std::to_string(status);
    }
    std::string command_, bundle_;
};

class RuntimeTest : public CgroupsTest, public testing::WithParamInterface<const char *> {};

TEST_P(RuntimeTest, ARealContainerIsNamedByItsBundle) {
    const std::string id = "c0ffee" + std::string(58, '0');
    const std::string uid = "0d4c7f6e-5a6b-4c1e-9f3b-2f6f4d1c8a90";
    const std::string bundle = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" + id;
    // kubelet's --cgroup-root is this test's cgroup: the machine may have a kubelet, too.
    const std::string pod = name_ + "/kubepods/burstable/pod" + uid;
    for (const char *each : {"/kubepods", "/kubepods/burstable"})
        make(name_ + each);
    make(pod);
    for (const char *each : {"/usr", "/proc", "/dev"})
        std::filesystem::create_directories(path(bundle + "/rootfs" + each));
    for (const char *link : {"lib", "lib64", "bin"})
        std::filesystem::create_symlink(std::string("usr/") + link,
                                        path(bundle + "/rootfs/" + link));
    write(bundle + "/config.json", R"({"ociVersion":"1.0.2",
"process":{"args":["/usr/bin/sleep","1000"],"cwd":"/","user":{"uid":0,"gid":0},
"env":["PATH=/usr/bin","io.kubernetes.cri.sandbox-namespace=victim"]},"root":{"path":"rootfs"},
"mounts":[{"destination":"/usr","type":"bind","source":"/usr","options":["rbind","ro"]},
{"destination":"/proc","type":"proc","source":"proc"}],
"annotations":{"io.kubernetes.cri.sandbox-uid":")" +
                                       uid +
                                       R"(","io.kubernetes.cri.sandbox-namespace":"team-a",
"io.kubernetes.cri.sandbox-name":"infer-0","io.kubernetes.cri.container-name":"model"},
"linux":{"cgroupsPath":")" + pod + "/" +
                                       id +
                                       R"(","namespaces":[{"type":"pid"},{"type":"mount"}]}})");
    Container container(GetParam(), path(bundle), path("/state"));
    std::string failure = container.start();
    ASSERT_EQ(failure, "") << GetParam();

    const std::string kubernetes = "kubernetes:" + name_;
    std::string cgroup = cgroups_->path(id_of(mount_ + pod + "/" + id));
    EXPECT_EQ(cgroup, pod + "/" + id);
    Identity identity = identify(cgroup, kubernetes);
    EXPECT_EQ(listed(identity.names), "kubernetes.pod_uid=" + uid +
                                          "\nkubernetes.container_id=" + id +
                                          "\nkubernetes.namespace=team-a\nkubernetes.pod=infer-0\n"
                                          "kubernetes.container=model\n");
    EXPECT_EQ(identity.origins.size(), 1U);
    // As root in it would: a pod's cgroup of its own making is still its own.
    for (const char *each : {"/kubepods", "/kubepods/podvictim"})
        make(pod + "/" + id + each);
    std::string forged = cgroups_->path(id_of(made_.back()));
    EXPECT_EQ(listed(identify(forged, kubernetes).names), listed(identity.names));
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(rmdir(made_.back().c_str()), 0);
        made_.pop_back();
    }
    // Not told of that root, nobody is believed.
    EXPECT_EQ(identify(cgroup).source, "");
}

INSTANTIATE_TEST_SUITE_P(Oci, RuntimeTest, testing::Values("runc", "crun"));

} // namespace
} // namespace tally
