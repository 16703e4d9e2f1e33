// Names that were read from files, when the files change: real files and a real cgroup, and a
// platform that keeps one file.
#include "agent/identity/workloads.h"
#include "tests/unit/agent/scratch.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace tally {
namespace {

constexpr uint64_t kRoot = 1; // the hierarchy's own cgroup, kernel/cgroup/cgroup.c
constexpr uint64_t kGone = 999'999'999'999;

// Its only name is what /instance holds.
class OneFile : public Source {
public:
    const char *name() const override { return "one-file"; }
    std::optional<Identity> identify(const Subject &, const HostFiles &files) const override {
        Identity identity{"one-file", {}, {}};
        auto contents = files.read("/instance");
        if (contents && !contents->text.empty()) {
            identity.names.push_back({"one.project", contents->text});
            identity.origins.push_back(contents->origin);
        }
        return identity;
    }
};

class WorkloadsTest : public testing::Test {
protected:
    void SetUp() override {
        auto cgroups = Cgroups::open();
        if (!cgroups)
            GTEST_SKIP() << cgroups.error().message << ": needs root";
        put("alpha");
        auto files = HostFiles::open(scratch_.path());
        ASSERT_TRUE(files);
        std::vector<std::unique_ptr<Source>> sources;
        sources.push_back(std::make_unique<OneFile>());
        workloads_ = std::make_unique<Workloads>(Resolver(
            std::move(*cgroups), std::move(*files), std::move(sources),
            rules("[[tenant]]\nname = \"a\"\nids = [\"one.project=alpha\"]\n"
                  "[[tenant]]\nname = \"b\"\nparent = \"p\"\nids = [\"one.project=beta\"]\n")));
        EXPECT_EQ(workloads_->name(kRoot).tenant.name, "a");
    }
    // By rename, as the platforms do.
    void put(const std::string &project) const {
        std::ofstream(scratch_ / "new") << project;
        std::filesystem::rename(scratch_ / "new", scratch_ / "instance");
    }
    Tenants rules(const std::string &contents) const {
        std::filesystem::create_directories(scratch_ / "d");
        std::ofstream(scratch_ / "d/a.toml") << contents;
        auto tenants = Tenants::load(scratch_ / "d");
        EXPECT_TRUE(tenants);
        return std::move(*tenants);
    }

    Scratch scratch_;
    std::unique_ptr<Workloads> workloads_;
};

TEST_F(WorkloadsTest, AFileThatChangesIsReadAgainAndItsTenantChanges) {
    EXPECT_TRUE(workloads_->read_again(false).empty());
    put("beta");
    auto renamed = workloads_->read_again(false);
    ASSERT_EQ(renamed.size(), 1U);
    EXPECT_EQ(workloads_->name(kRoot).tenant.name, "a"); // until it is adopted
    auto changes = workloads_->changes(renamed);
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].text(),
              "/ (cgroup 1): from a to b through p, by a.toml:7: ids one.project=beta");
    workloads_->adopt(std::move(renamed));
    EXPECT_EQ(workloads_->name(kRoot).tenant.name, "b");
    EXPECT_TRUE(workloads_->read_again(false).empty());
}

TEST_F(WorkloadsTest, TheSameNameInANewFileIsNothingToTell) {
    workloads_->told(kRoot);
    put("alpha");
    auto renamed = workloads_->read_again(false);
    EXPECT_TRUE(workloads_->changes(renamed).empty());
    workloads_->adopt(std::move(renamed));
    EXPECT_TRUE(workloads_->name(kRoot).told);
    EXPECT_TRUE(workloads_->read_again(false).empty());
}

TEST_F(WorkloadsTest, AFileThatIsGoneOrNotReadableYetTakesNoNameAway) {
    std::ofstream(scratch_ / "instance") << ""; // half written
    EXPECT_TRUE(workloads_->read_again(false).empty());
    std::filesystem::remove(scratch_ / "instance");
    EXPECT_TRUE(workloads_->read_again(false).empty());
    EXPECT_TRUE(workloads_->read_again(true).empty());
    put("beta");
    EXPECT_EQ(workloads_->read_again(false).size(), 1U);
}

TEST_F(WorkloadsTest, OtherRulesNameAnewWhatIsKnown) {
    workloads_->told(kRoot);
    Tenants others = rules("[[tenant]]\nname = \"a\"\ncontract = \"C\"\nids = "
                           "[\"one.project=alpha\"]\n");
    auto renamed = workloads_->under(others);
    ASSERT_EQ(renamed.size(), 1U); // there is more to tell, but the tenant is the same
    EXPECT_TRUE(workloads_->changes(renamed).empty());
    EXPECT_FALSE(renamed[0].workload.told);
    renamed = workloads_->under(rules(""));
    ASSERT_EQ(workloads_->changes(renamed).size(), 1U);
    EXPECT_EQ(workloads_->changes(renamed)[0].text(), "/ (cgroup 1): from a to nobody, by no rule");
}

TEST_F(WorkloadsTest, WhatAnEarlierAgentKnewIsHeldAgainstWhatIsSoNow) {
    Workload known;
    known.cgroup_path = "/";
    known.tenant.name = "before";
    workloads_->restore(kRoot, known);
    known.cgroup_path = "/gone";
    workloads_->restore(kGone, known);
    EXPECT_TRUE(workloads_->read_again(false).empty());
    auto changes = workloads_->changes(workloads_->read_again(true));
    ASSERT_EQ(changes.size(), 1U); // whose cgroup is gone stays whose it was
    EXPECT_EQ(changes[0].from.name, "before");
    EXPECT_EQ(changes[0].to.name, "a");
}

TEST_F(WorkloadsTest, OnlyWhatIsGoneAndHoldsNothingIsForgotten) {
    workloads_->restore(kGone, {});
    workloads_->restore(kGone + 1, {});
    workloads_->forget_gone({kGone});
    EXPECT_TRUE(workloads_->known().contains(kRoot));
    EXPECT_TRUE(workloads_->known().contains(kGone));
    EXPECT_FALSE(workloads_->known().contains(kGone + 1));
}

} // namespace
} // namespace tally
