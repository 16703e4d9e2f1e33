// Whose a workload is: which rule counts, how chains end, and which files are refused.
#include "agent/identity/tenants.h"
#include "tests/unit/agent/scratch.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <random>

namespace tally {
namespace {

class TenantRulesTest : public testing::Test {
protected:
    TenantRulesTest() { std::filesystem::create_directories(directory()); }
    std::string directory() const { return scratch_.path() + "/d"; }
    void write(const std::string &name, const std::string &contents) const {
        std::ofstream(directory() + "/" + name) << contents;
    }
    Tenants load(std::vector<std::string> tenant_names = {}) const {
        auto tenants = Tenants::load(directory(), std::move(tenant_names));
        EXPECT_TRUE(tenants) << tenants.error().message;
        return tenants ? std::move(*tenants) : Tenants();
    }
    Tenants load(const std::string &contents, std::vector<std::string> tenant_names = {}) const {
        write("a.toml", contents);
        return load(std::move(tenant_names));
    }
    // Without the directory, so that a line can be compared whole.
    std::string error_of(const std::string &a, const std::string &b = "") const {
        write("a.toml", a);
        write("b.toml", b);
        auto tenants = Tenants::load(directory());
        std::string text = tenants ? "good" : tenants.error().message;
        for (size_t at = 0; (at = text.find(directory() + "/")) != std::string::npos;)
            text.erase(at, directory().size() + 1);
        return text;
    }
    static Identity named(std::vector<Name> names) { return {"test", std::move(names), {}}; }

    Scratch scratch_;
};

TEST_F(TenantRulesTest, WhatIsMoreExactCounts) {
    Tenants tenants = load(R"(
[[tenant]]
name = "glob"
cgroups = ["/pods/*"]
[[tenant]]
name = "path-prefix"
prefixes = ["/pods/a"]
[[tenant]]
name = "longer-path-prefix"
prefixes = ["/pods/a/"]
[[tenant]]
name = "name-prefix"
prefixes = ["k8s.namespace=team-"]
[[tenant]]
name = "path"
ids = ["/pods/a/x"]
[[tenant]]
name = "id"
ids = ["k8s.namespace=team-a"]
)");
    EXPECT_EQ(tenants.size(), 6U);
    Identity team_a = named({{"k8s.namespace", "team-a"}});
    Identity team_b = named({{"k8s.pod", "p"}, {"k8s.namespace", "team-b"}});
    EXPECT_EQ(tenants.of("/pods/a/x", team_a).name, "id");
    EXPECT_EQ(tenants.of("/pods/a/x", team_b).name, "path");
    EXPECT_EQ(tenants.of("/pods/a/x/y", team_b).name, "name-prefix"); // an id of a path is that one
    EXPECT_EQ(tenants.of("/pods/a/x/y").name, "longer-path-prefix");
    EXPECT_EQ(tenants.of("/pods/ab").name, "path-prefix");
    EXPECT_EQ(tenants.of("/pods/b/c").name, "glob");
    EXPECT_EQ(tenants.of("/elsewhere").name, "");
    EXPECT_EQ(tenants.of("/elsewhere", named({{"k8s.namespace", "team"}})).name, "");
    EXPECT_EQ(tenants.of("/elsewhere", named({{"k8s.names", "pace=team-a"}})).name, "");
}

TEST_F(TenantRulesTest, TheRuleThatCountsIsNamedWithItsFile) {
    std::string text = "[[tenant]]\nname = \"globex\"\ncountry = \"DE\"\naccount = \"4711\"\n"
                       "contract = \"GLX-1\"\nids = [\n  \"k=v\",\n  \"/a\",\n]\n";
    Tenants tenants = load(text);
    Tenant tenant = tenants.of("/a");
    EXPECT_EQ(tenant.rule, "a.toml:8: ids /a");
    EXPECT_EQ(tenant.digest, sha256(view(text)));
    EXPECT_EQ(tenant.country, "DE");
    EXPECT_EQ(tenant.account, "4711");
    EXPECT_EQ(tenant.contract, "GLX-1");
    EXPECT_EQ(tenants.of("/b", named({{"k", "v"}})).rule, "a.toml:7: ids k=v");
    EXPECT_EQ(tenants.of("/b").rule, "");
    EXPECT_EQ(chain_text(tenants.of("/b")), "nobody");
}

TEST_F(TenantRulesTest, OfSeveralNamesTheRuleThatStandsFirstCounts) {
    write("b.toml", "[[tenant]]\nname = \"two\"\nids = [\"k1=v\"]\nprefixes = [\"k1=ab\"]\n");
    Tenants tenants = load("[[tenant]]\nname = \"one\"\nids = [\"k2=v\"]\nprefixes = [\"k2=ab\", "
                           "\"k2=abcd\"]\n");
    EXPECT_EQ(tenants.of("/", named({{"k1", "v"}, {"k2", "v"}})).name, "one");
    EXPECT_EQ(tenants.of("/", named({{"k1", "abc"}, {"k2", "abc"}})).name, "one");
    EXPECT_EQ(tenants.of("/", named({{"k1", "abcde"}, {"k2", "abcde"}})).rule,
              "a.toml:4: prefixes k2=abcd");
}

TEST_F(TenantRulesTest, NamesMayBeTenantsIfTheOperatorSaysSo) {
    const char *rules = "[[tenant]]\nname = \"acme\"\nparent = \"middleman\"\naccount = \"7\"\n"
                        "[[tenant]]\nname = \"ruled\"\ncgroups = [\"/ruled\"]\n";
    Identity project = named({{"openstack.project", "acme"}});
    EXPECT_EQ(load(rules).of("/x", project).name, "");
    Tenants tenants = load(rules, {"slurm.account", "openstack.project"});
    EXPECT_EQ(tenants.of("/ruled", project).name, "ruled");
    EXPECT_EQ(chain_text(tenants.of("/x", project)), "acme through middleman");
    EXPECT_EQ(tenants.of("/x", project).account, "7");
    EXPECT_EQ(tenants.of("/x", project).rule, "tenant_names openstack.project");
    EXPECT_EQ(tenants.of("/x", project).digest, Digest{});
    EXPECT_EQ(
        tenants.of("/x", named({{"openstack.project", "new"}, {"slurm.account", "first"}})).name,
        "first");
    // What could not be told from another's name names nobody.
    for (const char *odd : {"", "a\nb", "\xff", "unattributed"})
        EXPECT_EQ(tenants.of("/x", named({{"openstack.project", odd}})).name, "") << odd;
    EXPECT_EQ(tenants.of("/x", named({{"openstack.project", std::string(129, 'x')}})).name, "");
}

TEST_F(TenantRulesTest, ChainsEndAtThePayer) {
    write("b.toml", "[[tenant]]\nname = \"reseller\"\nparent = \"broker\"\n"
                    "[[tenant]]\nname = \"broker\"\nparent = \"cloud\"\ncountry = \"IE\"\n");
    Tenants tenants = load("[[tenant]]\nname = \"globex\"\nparent = \"reseller\"\nids = [\"/g\"]\n"
                           "[[tenant]]\nname = \"own\"\nids = [\"/o\"]\n"
                           "[[tenant]]\nname = \"broker\"\nids = [\"/b\"]\n");
    Tenant globex = tenants.of("/g");
    EXPECT_EQ(globex.parent, "reseller");
    EXPECT_EQ(globex.payers, (std::vector<std::string>{"broker", "cloud"}));
    EXPECT_EQ(globex.country, ""); // its own, not that of those above
    EXPECT_EQ(chain_text(globex), "globex through reseller through broker through cloud");
    EXPECT_EQ(tenants.of("/o").parent, "");
    EXPECT_EQ(tenants.of("/b").country, "IE"); // from its other table
    EXPECT_EQ(tenants.of("/b").parent, "cloud");
}

TEST_F(TenantRulesTest, AServiceIsTheHostsOwnAndNoTenant) {
    const char *rules = "[[service]]\nname = \"dcgm\"\nids = [\"k=v\"]\ncgroups = [\"/d\"]\n"
                        "[[tenant]]\nname = \"dcgm\"\nids = [\"/t\"]\n";
    Tenants tenants = load(rules, {"name"});
    EXPECT_EQ(tenants.of("/d/below").name, "service:dcgm");
    EXPECT_EQ(tenants.of("/x", named({{"k", "v"}})).rule, "a.toml:3: ids k=v");
    EXPECT_EQ(tenants.of("/t").name, "dcgm"); // a tenant may be called as a service is
    EXPECT_FALSE(tenants.of("/t").is_same(tenants.of("/d")));
    // Nobody passes for one by choosing a name.
    EXPECT_EQ(tenants.of("/x", named({{"name", "service:dcgm"}})).name, "");
    EXPECT_EQ(error_of("[[tenant]]\nname = \"service:x\"\nids = [\"/a\"]\n"),
              "a.toml:2: name: begins as reports begin the names of services");
    EXPECT_EQ(error_of("[[tenant]]\nname = \"x\"\nparent = \"service:x\"\n"),
              "a.toml:3: parent: begins as reports begin the names of services");
    EXPECT_EQ(error_of("[[service]]\nname = \"x\"\n"),
              "a.toml:1: service x is given no ids, prefixes or cgroups");
    EXPECT_EQ(error_of("[[service]]\nname = \"x\"\ncountry = \"DE\"\nids = [\"/a\"]\n"),
              "a.toml:3: country: unknown key");
    EXPECT_EQ(error_of("[[service]]\nname = \"x\"\nids = [\"/a\"]\n",
                       "[[tenant]]\nname = \"y\"\nids = [\"/a\"]\n"),
              "b.toml:3: ids: \"/a\" is y's here and service:x's at a.toml:3");
}

TEST_F(TenantRulesTest, ConflictsNameBothPlaces) {
    EXPECT_EQ(error_of("[[tenant]]\nname = \"x\"\nids = [\"/a\"]\n",
                       "[[tenant]]\nname = \"y\"\nids = [\n\"k=v\",\n\"/a\"]\n"),
              "b.toml:5: ids: \"/a\" is y's here and x's at a.toml:3");
    EXPECT_EQ(error_of("[[tenant]]\nname = \"x\"\nprefixes = [\"k=\"]\n"
                       "[[tenant]]\nname = \"y\"\nprefixes = [\"k=\"]\n"),
              "a.toml:6: prefixes: \"k=\" is y's here and x's at a.toml:3");
    EXPECT_EQ(error_of("[[tenant]]\nname = \"x\"\ncgroups = [\"/a*\"]\n",
                       "[[tenant]]\nname = \"y\"\ncgroups = [\"/a*\"]\n"),
              "b.toml:3: cgroups: \"/a*\" is y's here and x's at a.toml:3");
    EXPECT_EQ(error_of("[[tenant]]\nname = \"x\"\nparent = \"p\"\n",
                       "[[tenant]]\nname = \"x\"\nparent = \"q\"\n"),
              "b.toml:3: parent: of x is \"q\" here and \"p\" at a.toml:3");
    EXPECT_EQ(error_of("[[tenant]]\nname = \"x\"\ncountry = \"DE\"\nids = [\"/a\"]\n",
                       "[[tenant]]\nname = \"x\"\ncountry = \"FR\"\nids = [\"/b\"]\n"),
              "b.toml:3: country: of x is \"FR\" here and \"DE\" at a.toml:3");
}

TEST_F(TenantRulesTest, TheSameTwiceIsNoConflict) {
    std::string table = "[[tenant]]\nname = \"x\"\nparent = \"p\"\nids = [\"/a\", \"/a\"]\n"
                        "prefixes = [\"/b\"]\ncgroups = [\"/c\"]\n";
    EXPECT_EQ(error_of(table, table), "good");
    EXPECT_EQ(load().size(), 3U);
}

TEST_F(TenantRulesTest, LoopsAndLongChainsAreRefused) {
    EXPECT_EQ(error_of("[[tenant]]\nname = \"x\"\nparent = \"x\"\n"),
              "a.toml:3: parent: a loop: x -> x (a.toml:3)");
    EXPECT_EQ(error_of("[[tenant]]\nname = \"x\"\nparent = \"y\"\n",
                       "[[tenant]]\nname = \"y\"\nparent = \"x\"\n"),
              "a.toml:3: parent: a loop: x -> y (a.toml:3) -> x (b.toml:3)");
    auto chain = [](size_t parties) {
        std::string text;
        for (size_t i = 1; i < parties; i++)
            text += "[[tenant]]\nname = \"t" + std::to_string(i) + "\"\nparent = \"t" +
                    std::to_string(i + 1) + "\"\n";
        return text;
    };
    EXPECT_EQ(error_of(chain(kMostParties)), "good");
    std::string error = error_of(chain(kMostParties + 1));
    EXPECT_TRUE(error.starts_with("a.toml:3: parent: more than 8 from tenant to payer: t1 -> t2 "
                                  "(a.toml:3) -> t3 (a.toml:6)"))
        << error;
    EXPECT_EQ(error.find('\n'), std::string::npos);
}

TEST_F(TenantRulesTest, MistakesAreNamedWithTheirLine) {
    auto with = [](const std::string &line) { return "[[tenant]]\nname = \"x\"\n" + line + "\n"; };
    EXPECT_EQ(error_of(with("ids = [\"acme\"]")),
              "a.toml:3: ids: \"acme\" must be KEY=VALUE, or a path that begins with /");
    EXPECT_EQ(error_of(with("ids = [\"/a/\"]")), "a.toml:3: ids: \"/a/\" must not end with /");
    EXPECT_EQ(error_of(with("ids = [\"k=\"]")), "a.toml:3: ids: \"k=\" names nothing behind its =");
    EXPECT_EQ(error_of(with("prefixes = [\"=v\"]")),
              "a.toml:3: prefixes: \"=v\" must be KEY=VALUE, or a path that begins with /");
    EXPECT_EQ(error_of(with("ids = [\"/a\\u0000b\"]")),
              "a.toml:3: ids: \"/a\\x00b\" must have no NUL");
    EXPECT_EQ(error_of(with("ids = [\"/" + std::string(5000, 'a') + "\"]")).substr(0, 15),
              "a.toml:3: ids: ");
    EXPECT_EQ(error_of(with("")),
              "a.toml:1: tenant x is given no ids, prefixes or cgroups, and nothing is said of it");
    EXPECT_EQ(error_of(with("country = \"\\u00e4\"")),
              "a.toml:3: country: must be printable ASCII");
    EXPECT_EQ(error_of(with("parent = \"unattributed\"")),
              "a.toml:3: parent: is what reports call the time that is nobody's");
    EXPECT_EQ(error_of(with("ids = [[]]")), "a.toml:3: ids: must be a list of strings");
}

TEST_F(TenantRulesTest, HiddenFilesAreLeftAlone) {
    write(".#a.toml", "not toml");
    write("a.toml.tmp", "not toml");
    EXPECT_EQ(load("[[tenant]]\nname = \"x\"\nids = [\"/a\"]\n").of("/a").name, "x");
}

TEST_F(TenantRulesTest, TheShippedSampleIsGoodAndAnyPartOfItIsReadOrRefusedInALine) {
    auto sample = read_text("config/tenants.d/example.toml.sample");
    ASSERT_TRUE(sample);
    EXPECT_EQ(error_of(*sample), "good");
    Tenants tenants = load(*sample);
    EXPECT_EQ(chain_text(tenants.of("/x", named({{"slurm.uid", "1042"}}))),
              "globex through middleman through bigcloud");
    EXPECT_EQ(tenants.of("/machine.slice/machine-qemu\\x2d3\\x2dacme.scope/libvirt").name, "acme");
    for (size_t length = 0; length < sample->size(); length += 3) {
        std::string error = error_of(sample->substr(0, length));
        EXPECT_TRUE(error == "good" || error.starts_with("a.toml:")) << error;
        EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    }
}

// Against the plain reading of the rule: the longest of all that the text begins with.
TEST_F(TenantRulesTest, TheLongestPrefixIsFoundWhateverThereIs) {
    std::mt19937 random(20261125); // NOLINT: the same each time
    auto text = [&](size_t most) {
        std::string text = "/";
        for (size_t length = random() % most; length > 0; length--)
            text += "ab/"[random() % 3];
        return text;
    };
    for (int round = 0; round < 40; round++) {
        std::map<std::string, std::string> prefixes;
        std::string file;
        for (size_t i = 0; i < 60; i++) {
            std::string prefix = text(9);
            if (prefixes.emplace(prefix, "t" + std::to_string(i)).second)
                file += "[[tenant]]\nname = \"t" + std::to_string(i) + "\"\nprefixes = [\"" +
                        prefix + "\"]\n";
        }
        Tenants tenants = load(file);
        for (int i = 0; i < 500; i++) {
            std::string path = text(14);
            std::string expected;
            for (const auto &[prefix, name] : prefixes) { // in order: the longer one later
                if (path.starts_with(prefix))
                    expected = name;
            }
            EXPECT_EQ(tenants.of(path).name, expected) << path;
        }
    }
}

TEST_F(TenantRulesTest, TenThousandTenantsAreLookedUpAtOnce) {
    std::string file;
    for (int i = 0; i < 10'000; i++) {
        std::string n = std::to_string(i);
        file += "[[tenant]]\nname = \"t" + n + "\"\nids = [\"k=" + n + "\"]\nprefixes=[\"/p" + n +
                "/\"]\n";
    }
    Tenants tenants = load(file);
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 10'000; i++)
        ASSERT_EQ(tenants.of("/p" + std::to_string(i) + "/x", named({{"k", "none"}})).name,
                  "t" + std::to_string(i));
    std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - begin;
    std::printf("10000 tenants: %.2f us for a workload\n", taken.count() / 10'000);
    EXPECT_LT(taken.count() / 10'000, 200);
}

} // namespace
} // namespace tally
