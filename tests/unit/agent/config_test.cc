// Configuration and tenant files: what is read, and what is refused with file, line and key.
#include "agent/config.h"
#include "agent/identity/tenants.h"
#include "tests/unit/agent/scratch.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace tally {
namespace {

constexpr const char *kGood = R"(host = "h1.example"
[signing]
key = "/k"
certificate = "/c"
[collector]
address = "collector.example:7443"
ca = "/ca"
certificate = "/tls"
key = "/tlskey"
log_keys = "/vkeys"
)";

class Configuration : public testing::Test {
protected:
    std::string write(const std::string &contents) {
        std::string path = scratch_.path() + "/tallyd.toml";
        std::ofstream(path) << contents;
        return path;
    }
    // The error for the good file with a line put in front, or a table behind; "" if accepted.
    std::string error_of(const std::string &line, const std::string &table = "") {
        auto config = load_config(write(line + "\n" + kGood + table));
        return config ? "" : config.error().message;
    }

    Scratch scratch_;
};

TEST_F(Configuration, DefaultsAreAsDocumented) {
    auto config = load_config(write(kGood));
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->host, "h1.example");
    EXPECT_EQ(config->window_seconds, 10);
    EXPECT_EQ(config->scan_seconds, 1);
    EXPECT_EQ(config->collector_name, "collector.example");
    EXPECT_FALSE(config->recorder.rung);
    EXPECT_EQ(config->digest, sha256(view(kGood)));
}

TEST_F(Configuration, TheShippedFileIsGood) {
    auto config = load_config("config/tallyd.toml");
    EXPECT_TRUE(config) << config.error().message;
}

TEST_F(Configuration, MistakesNameFileLineAndKey) {
    EXPECT_NE(error_of("windows_seconds = 10").find("tallyd.toml:1: windows_seconds: unknown key"),
              std::string::npos);
    EXPECT_NE(error_of("window_seconds = \"ten\"").find("tallyd.toml:1: window_seconds: must be"),
              std::string::npos);
    EXPECT_NE(error_of("window_seconds = 0").find("from 1 to 3600"), std::string::npos);
    EXPECT_NE(error_of("window_seconds = ").find("tallyd.toml:1:"), std::string::npos);
    EXPECT_NE(error_of("", "[recording]\nhooks = \"best\"").find("tallyd.toml:13: hooks:"),
              std::string::npos);
    EXPECT_NE(error_of("", "[[device]]\nname = \"x\"").find("node: missing"), std::string::npos);
    EXPECT_NE(error_of("", "[[device]]\nname = \"x\"\nnode = \"dev\"").find("must be a path"),
              std::string::npos);
    EXPECT_NE(error_of("", "[identity]\ntenant_names = [\"a=b\"]").find("is no key of a name"),
              std::string::npos);
    EXPECT_NE(error_of("device = 1").find("list of tables"), std::string::npos);
}

TEST_F(Configuration, MissingPartsAreNamed) {
    auto config = load_config(write("host = \"h\"\n"));
    ASSERT_FALSE(config);
    EXPECT_NE(config.error().message.find("signing: missing"), std::string::npos);
    EXPECT_FALSE(load_config(scratch_.path() + "/absent.toml"));
}

class TenantFiles : public Configuration {
protected:
    Result<Tenants> load(const std::string &contents) {
        std::filesystem::create_directories(scratch_.path() + "/d");
        std::ofstream(scratch_.path() + "/d/a.toml") << contents;
        return Tenants::load(scratch_.path() + "/d");
    }
};

TEST_F(TenantFiles, AGlobCoversEverythingBelowItsMatch) {
    auto tenants = load("[[tenant]]\nname = \"globex\"\nparent = \"middleman\"\n"
                        "cgroups = [\"/tenants/globex*\"]\n");
    ASSERT_TRUE(tenants) << tenants.error().message;
    EXPECT_EQ(tenants->of("/tenants/globex-7").name, "globex");
    EXPECT_EQ(tenants->of("/tenants/globex-7/inner/x.scope").parent, "middleman");
    EXPECT_EQ(tenants->of("/tenants").name, "");
    EXPECT_EQ(tenants->of("/tenants/acme/globex").name, ""); // '*' does not cross '/'
    EXPECT_EQ(tenants->of("/other/tenants/globex").name, "");
    EXPECT_EQ(tenants->of("").name, "");
}

TEST_F(TenantFiles, APathCopiedFromSystemdMatchesItself) {
    auto tenants = load("[[tenant]]\nname = \"vm\"\n"
                        "cgroups = ['/machine.slice/machine-qemu\\x2d3\\x2dvm.scope', '/a[*]b']\n");
    ASSERT_TRUE(tenants) << tenants.error().message;
    EXPECT_EQ(tenants->of("/machine.slice/machine-qemu\\x2d3\\x2dvm.scope/libvirt").name, "vm");
    EXPECT_EQ(tenants->of("/machine.slice/machine-qemux2d3x2dvm.scope").name, "");
    EXPECT_EQ(tenants->of("/a*b").name, "vm");
    EXPECT_EQ(tenants->of("/axb").name, "");
}

TEST_F(TenantFiles, TheFirstRuleWins) {
    auto tenants = load("[[tenant]]\nname = \"one\"\ncgroups = [\"/a/b\"]\n"
                        "[[tenant]]\nname = \"two\"\ncgroups = [\"/a\"]\n");
    ASSERT_TRUE(tenants);
    EXPECT_EQ(tenants->of("/a/b/c").name, "one");
    EXPECT_EQ(tenants->of("/a/c").name, "two");
}

TEST_F(TenantFiles, AMissingDirectoryNamesNobody) {
    auto tenants = Tenants::load(scratch_.path() + "/absent");
    ASSERT_TRUE(tenants);
    EXPECT_EQ(tenants->size(), 0U);
}

TEST_F(TenantFiles, MistakesNameFileAndLine) {
    for (const char *bad :
         {"[[tenant]]\ncgroups = [\"/a\"]\n", "[[tenant]]\nname = \"x\"\n",
          "[[tenant]]\nname = \"\"\ncgroups = [\"/a\"]\n",
          "[[tenant]]\nname = \"x\\ny\"\ncgroups = [\"/a\"]\n",
          "[[tenant]]\nname = \"x\"\ncgroups = [\"a\"]\n",
          "[[tenant]]\nname = \"x\"\ncgroups = [1]\n", "[[tenants]]\nname = \"x\"\n",
          "[[tenant]]\nname = \"x\"\ncgroup = \"/a\"\n", "not toml"}) {
        auto tenants = load(bad);
        ASSERT_FALSE(tenants) << bad;
        EXPECT_NE(tenants.error().message.find("/a.toml:"), std::string::npos)
            << tenants.error().message;
    }
}

TEST_F(TenantFiles, TheDigestFollowsTheContents) {
    auto first = load("[[tenant]]\nname = \"x\"\ncgroups = [\"/a\"]\n");
    auto second = load("[[tenant]]\nname = \"x\"\ncgroups = [\"/b\"]\n");
    ASSERT_TRUE(first && second);
    EXPECT_NE(first->digest(), second->digest());
}

} // namespace
} // namespace tally
