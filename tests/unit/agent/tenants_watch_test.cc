// Tenant files that change: what is taken, what is left alone, and when.
#include "agent/clock.h"
#include "agent/identity/tenants_watch.h"
#include "tests/unit/agent/scratch.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/resource.h>

namespace tally {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kWindow = 10 * kSecond;

std::string table(const std::string &name) {
    return "[[tenant]]\nname = \"" + name + "\"\nids = [\"/a\"]\n";
}

class TenantsWatchTest : public testing::Test {
protected:
    TenantsWatchTest() {
        fs::create_directories(directory());
        write("a.toml", table("one"));
    }
    void begin() {
        ASSERT_TRUE(watch_.load());
        ASSERT_GE(watch_.start(at_), 0);
        EXPECT_EQ(after(0), "same");
    }
    std::string directory() const { return scratch_.path() + "/d"; }
    std::string path(const std::string &name) const { return directory() + "/" + name; }
    void write(const std::string &name, const std::string &contents) const {
        std::ofstream(path(name)) << contents;
    }
    void replace(const std::string &name, const std::string &contents) const {
        write(name + ".tmp", contents);
        fs::rename(path(name + ".tmp"), path(name));
    }
    // Who has /a when so much time has passed and the watch was looked at whenever it asked; "same"
    // if the files are, else what is wrong with them.
    std::string after(uint64_t ns) {
        std::string last = "same";
        watch_.on_ready(at_);
        for (uint64_t until = at_ + ns;;) {
            if (auto tenants = watch_.look(at_))
                last = *tenants ? (*tenants)->of("/a").name : tenants->error().message;
            if (watch_.look_due_ns() > until)
                break;
            at_ = watch_.look_due_ns();
        }
        at_ += ns;
        return last;
    }

    Scratch scratch_;
    Log log_{"test"};
    TenantsWatch watch_{directory(), {}, kWindow, log_};
    uint64_t at_ = 1000 * kSecond;
};

TEST_F(TenantsWatchTest, AReplacedFileIsTakenAtOnce) {
    begin();
    EXPECT_EQ(after(kSecond), "same");
    replace("a.toml", table("two"));
    EXPECT_EQ(after(kSecond), "two");
    EXPECT_EQ(after(3 * kWindow), "same");
}

TEST_F(TenantsWatchTest, AFileThatIsWrittenToIsNotReadUntilItIsClosed) {
    begin();
    {
        std::ofstream file(path("a.toml"));
        file << table("two").substr(0, 30) << std::flush;
        EXPECT_EQ(after(3 * kWindow), "same");
        file << table("two").substr(30);
    }
    EXPECT_EQ(after(2 * kSecond), "two");
}

TEST_F(TenantsWatchTest, ABadFileIsSaidOnceAndAGoodOneTaken) {
    begin();
    replace("a.toml", table("two") + "[[ten");
    EXPECT_NE(after(kSecond).find("/a.toml:4:"), std::string::npos);
    EXPECT_EQ(after(5 * kWindow), "same");
    replace("a.toml", table("two"));
    EXPECT_EQ(after(kSecond), "two");
}

TEST_F(TenantsWatchTest, FilesComeAndGo) {
    begin();
    replace("b.toml", "[[tenant]]\nname = \"two\"\nids = [\"/b\"]\n");
    EXPECT_EQ(after(kSecond), "one");
    fs::remove(path("a.toml"));
    EXPECT_EQ(after(kSecond), "");
    fs::create_hard_link(path("b.toml"), path("c.toml"));
    EXPECT_EQ(after(kSecond), "");
    EXPECT_EQ(after(kSecond), "same");
}

TEST_F(TenantsWatchTest, TheDirectoryIsReplaced) {
    begin();
    fs::create_directory(scratch_.path() + "/e");
    std::ofstream(scratch_.path() + "/e/z.toml") << table("two");
    fs::rename(directory(), scratch_.path() + "/old");
    EXPECT_EQ(after(kSecond), "");
    fs::rename(scratch_.path() + "/e", directory());
    EXPECT_EQ(after(kSecond), "two");
    replace("z.toml", table("three")); // the new one is watched
    EXPECT_EQ(after(kSecond), "three");
    std::ofstream(scratch_.path() + "/old/a.toml") << table("four"); // the old one is not
    EXPECT_EQ(after(3 * kWindow), "same");
}

TEST_F(TenantsWatchTest, ALinkToTheDirectoryOrWithinItIsTurned) {
    for (const char *name : {"v1", "v2", "v3"}) {
        fs::create_directory(scratch_.path() + "/" + name);
        std::ofstream(scratch_.path() + "/" + name + "/a.toml") << table(name);
    }
    fs::remove_all(directory());
    fs::create_directory_symlink("v1", directory());
    begin();
    fs::create_directory_symlink("v2", scratch_.path() + "/new");
    fs::rename(scratch_.path() + "/new", directory());
    EXPECT_EQ(after(kSecond), "v2");
    // As a Kubernetes ConfigMap is mounted: a.toml -> ..data/a.toml, and ..data is turned.
    fs::remove(directory());
    fs::create_directory(directory());
    fs::create_directory_symlink("../v1", path("..data"));
    fs::create_symlink("..data/a.toml", path("a.toml"));
    EXPECT_EQ(after(kSecond), "v1");
    fs::create_directory_symlink("../v3", path("..new"));
    fs::rename(path("..new"), path("..data"));
    EXPECT_EQ(after(kSecond), "v3");
    // What a link leads to is changed where nobody watches: seen by its stamp.
    std::ofstream(scratch_.path() + "/v3/a.toml") << table("five");
    EXPECT_EQ(after(kSecond), "same");
    EXPECT_EQ(after(2 * kWindow), "five");
}

TEST_F(TenantsWatchTest, WhatChangesBeforeTheWatchBeginsIsNotMissed) {
    ASSERT_TRUE(watch_.load());
    replace("a.toml", table("two"));
    ASSERT_GE(watch_.start(at_), 0);
    EXPECT_EQ(after(2 * kSecond), "two");
}

TEST_F(TenantsWatchTest, WithoutInotifyItIsLookedAtOnceAWindow) {
    ASSERT_TRUE(watch_.load());
    rlimit before = {};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none = {0, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    EXPECT_EQ(watch_.start(at_), -1);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(after(kWindow), "same");
    replace("a.toml", table("two"));
    EXPECT_EQ(after(2 * kWindow), "two");
    EXPECT_EQ(after(2 * kWindow), "same");
}

} // namespace
} // namespace tally
