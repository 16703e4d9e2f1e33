// Durable files, strict TOML and log lines.
#include "base/durable.h"
#include "base/log.h"
#include "base/toml.h"

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace tally {
namespace {

class Files : public testing::Test {
protected:
    Files() {
        std::string pattern = testing::TempDir() + "tally-files-XXXXXX";
        directory_ = mkdtemp(pattern.data());
    }
    ~Files() override { std::filesystem::remove_all(directory_); }
    std::string path(const std::string &name) const { return directory_ + "/" + name; }

    std::string directory_;
};

TEST_F(Files, ReplaceLeavesOneWholeFile) {
    ASSERT_TRUE(replace_file(path("f"), view("one"), 0600));
    ASSERT_TRUE(replace_file(path("f"), view("second")));
    EXPECT_EQ(*read_text(path("f")), "second");
    EXPECT_FALSE(std::filesystem::exists(path("f.tmp")));
}

TEST_F(Files, ErrorsNameTheFileAndTheReason) {
    auto replaced = replace_file(path("no/such/f"), view("x"));
    ASSERT_FALSE(replaced);
    EXPECT_NE(replaced.error().message.find(path("no/such/f")), std::string::npos);
    EXPECT_NE(replaced.error().message.find("No such file"), std::string::npos);
    auto read = read_file(path("absent"));
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().message.find(path("absent")), std::string::npos);
    EXPECT_FALSE(read_file(directory_));
    EXPECT_FALSE(sync_directory(path("absent")));
}

TEST_F(Files, ReadingIsBounded) {
    ASSERT_TRUE(replace_file(path("f"), Bytes(100000, 'x')));
    EXPECT_TRUE(read_file(path("f"), 100000));
    EXPECT_FALSE(read_file(path("f"), 99999));
    EXPECT_FALSE(read_file("/dev/zero", 1 << 20));
}

TEST_F(Files, ADeviceWithoutRoomIsAnError) {
    Fd full(open("/dev/full", O_WRONLY));
    EXPECT_FALSE(append_durably(full.get(), view("x"), "/dev/full"));
}

TEST_F(Files, DirectoriesAreMadeWithTheirParents) {
    ASSERT_TRUE(make_directories(path("a/b/c")));
    ASSERT_TRUE(make_directories(path("a/b/c")));
    EXPECT_TRUE(std::filesystem::is_directory(path("a/b/c")));
    ASSERT_TRUE(replace_file(path("file"), view("")));
    EXPECT_FALSE(make_directories(path("file")));
    EXPECT_FALSE(make_directories(path("file/x")));
}

class Toml : public testing::Test {
protected:
    // What a strict reading of `contents` complains about; "" if nothing.
    static std::string complaint(const std::string &contents) {
        auto root = TomlTable::parse(contents, "f.toml");
        if (!root)
            return root.error().message;
        std::string name;
        int64_t number = 0;
        bool flag = false;
        std::vector<std::string> list;
        root->string("name", name).integer("number", number, 1, 10).boolean("flag", flag);
        root->strings("list", list);
        root->table("inner", [](TomlTable &inner) {
            std::string key;
            inner.required("key").string("key", key);
            return inner.finish();
        });
        auto finished = root->finish();
        return finished ? "" : finished.error().message;
    }
};

TEST_F(Toml, GoodFilesAreRead) {
    EXPECT_EQ(complaint(""), "");
    EXPECT_EQ(complaint("name = 'n'\nnumber = 10\nflag = true\nlist = ['a']\n[inner]\nkey = ''"),
              "");
    EXPECT_EQ(complaint("list = []"), "");
}

TEST_F(Toml, MistakesHaveFileLineAndKey) {
    EXPECT_EQ(complaint("name = 'n'\nnmae = 1"), "f.toml:2: nmae: unknown key");
    EXPECT_EQ(complaint("name = 1"), "f.toml:1: name: must be a string");
    EXPECT_EQ(complaint("\n\nnumber = 11"),
              "f.toml:3: number: must be a whole number from 1 to 10");
    EXPECT_EQ(complaint("number = 1.5"), "f.toml:1: number: must be a whole number from 1 to 10");
    EXPECT_EQ(complaint("flag = 'yes'"), "f.toml:1: flag: must be true or false");
    EXPECT_EQ(complaint("list = ['a', 1]"), "f.toml:1: list: must be a list of strings");
    EXPECT_EQ(complaint("inner = 1"), "f.toml:1: inner: must be a table: [inner]");
    EXPECT_EQ(complaint("[inner]\nkey = 'k'\nother = 1"), "f.toml:3: other: unknown key");
    EXPECT_EQ(complaint("\n[inner]\n"), "f.toml:2: key: missing");
    EXPECT_TRUE(complaint("name = ").starts_with("f.toml:1:"));
    EXPECT_TRUE(complaint("name = 'a'\nname = 'b'").starts_with("f.toml:2:"));
    EXPECT_TRUE(complaint(std::string("\xff\xfe\x00", 3)).starts_with("f.toml:1:"));
}

TEST(LogLines, AValueCannotForgeALine) {
    testing::internal::CaptureStderr();
    Log("test").warning("host \"a\ntest: error: forged\" refused\x1b[2J");
    std::string line = testing::internal::GetCapturedStderr();
    EXPECT_EQ(line, "test: warning: host \"a\\x0atest: error: forged\" refused\\x1b[2J\n");
}

TEST(LogLines, TheJournalGetsPriorities) {
    setenv("JOURNAL_STREAM", "1:1", 1);
    testing::internal::CaptureStderr();
    Log("test").error("down");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "<3>down\n");
    unsetenv("JOURNAL_STREAM");
}

} // namespace
} // namespace tally
