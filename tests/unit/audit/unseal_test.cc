// Boxes as honest hosts make them, and as others might.
#include "audit/unseal.h"

#include "attest/names.h"
#include "tests/unit/support/keys.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

class UnsealTest : public testing::Test {
protected:
    Unsealer unsealer(bool with_join_key) const {
        auto loaded = Unsealer::load(keys_.path("auditor/sealing.key"),
                                     with_join_key ? keys_.path("join.key") : "");
        EXPECT_TRUE(loaded) << loaded.error().message;
        return *std::move(loaded);
    }
    std::string token(const std::string &name) const {
        return token_of(*parse_join_key(keys_.read("join.key")), name_of(kParty, name));
    }
    // A statement of `host` in which a tenant's token stands, with a box that says `name`.
    pb::Statement statement(const std::string &host, const std::string &token,
                            const std::string &name, const std::string &bound_to = "") const {
        pb::Statement statement;
        statement.set_host(host);
        statement.set_sequence(5);
        auto point = hpke_public_key(keys_.read("auditor/sealing.pem"));
        auto sender = HpkeSender::start(*AgreementKey::generate(), *point, view(kBoxInfo));
        Digest id = hpke_key_id(*point);
        statement.mutable_sealing()->set_key(id.data(), id.size());
        statement.mutable_sealing()->set_encapsulated(sender->encapsulated().data(),
                                                      sender->encapsulated().size());
        auto box = sender->seal(box_context(bound_to.empty() ? host : bound_to, token),
                                name_of(kParty, name));
        pb::Workload &workload = *statement.add_workloads();
        workload.set_tenant(token);
        pb::SealedName &sealed = *workload.add_sealed();
        sealed.set_token(token);
        sealed.set_box(box->data(), box->size());
        return statement;
    }
    static pb::Statement brief(const std::string &host, const std::string &token) {
        pb::Statement statement;
        statement.set_host(host);
        statement.add_workloads()->set_tenant(token);
        return statement;
    }

    TestKeys keys_;
};

TEST_F(UnsealTest, ANameStandsForItsTokenFromThenOnAndOnItsHostAlone) {
    Unsealer unsealer = this->unsealer(true);
    pb::Statement before = brief("a.example", token("acme"));
    unsealer.unseal(0, before);
    EXPECT_EQ(before.workloads(0).tenant(), token("acme"));
    pb::Statement told = statement("a.example", token("acme"), "acme");
    unsealer.unseal(1, told);
    EXPECT_EQ(told.workloads(0).tenant(), "acme");
    pb::Statement after = brief("a.example", token("acme"));
    unsealer.unseal(2, after);
    EXPECT_EQ(after.workloads(0).tenant(), "acme");
    pb::Statement other = brief("b.example", token("acme"));
    unsealer.unseal(3, other);
    EXPECT_EQ(other.workloads(0).tenant(), token("acme"));
    EXPECT_TRUE(unsealer.findings().empty());
    EXPECT_TRUE(unsealer.notes().empty());
}

TEST_F(UnsealTest, ABoxOfAnotherHostsOrTokenDoesNotOpen) {
    Unsealer unsealer = this->unsealer(false);
    pb::Statement copied = statement("b.example", token("acme"), "acme", "a.example");
    unsealer.unseal(7, copied);
    EXPECT_EQ(copied.workloads(0).tenant(), token("acme"));
    pb::Statement moved = statement("a.example", token("acme"), "acme");
    moved.mutable_workloads(0)->mutable_sealed(0)->set_token(token("globex"));
    unsealer.unseal(8, moved);
    ASSERT_EQ(unsealer.findings().size(), 2U);
    EXPECT_EQ(unsealer.findings()[0].kind, "sealed");
    EXPECT_EQ(unsealer.findings()[0].host, "b.example");
    EXPECT_EQ(unsealer.findings()[0].index, 7U);
    EXPECT_EQ(unsealer.findings()[0].sequence, 5U);
    EXPECT_NE(unsealer.findings()[0].text.find("does not open"), std::string::npos);
}

TEST_F(UnsealTest, TheJoinKeyTellsALie) {
    Unsealer believing = unsealer(false);
    pb::Statement lie = statement("a.example", token("acme"), "globex");
    pb::Statement same = lie;
    believing.unseal(0, lie);
    EXPECT_EQ(lie.workloads(0).tenant(), "globex");
    EXPECT_TRUE(believing.findings().empty());
    Unsealer checking = unsealer(true);
    checking.unseal(0, same);
    EXPECT_EQ(same.workloads(0).tenant(), token("acme"));
    ASSERT_EQ(checking.findings().size(), 1U);
    EXPECT_NE(checking.findings()[0].text.find("not believed"), std::string::npos);
}

TEST_F(UnsealTest, TwoHostsThatMeanTwoNamesByOneTokenAreFoundWithoutIt) {
    Unsealer unsealer = this->unsealer(false);
    pb::Statement honest = statement("a.example", token("acme"), "acme");
    pb::Statement lying = statement("b.example", token("acme"), "globex");
    unsealer.unseal(0, honest);
    unsealer.unseal(1, lying);
    ASSERT_EQ(unsealer.findings().size(), 1U);
    EXPECT_NE(unsealer.findings()[0].text.find("host a.example means acme"), std::string::npos)
        << unsealer.findings()[0].text;
}

TEST_F(UnsealTest, WhatIsNoKeyOfOursIsANoteAndNonsenseAFinding) {
    Unsealer unsealer = this->unsealer(true);
    pb::Statement stranger = statement("a.example", token("acme"), "acme");
    stranger.mutable_sealing()->set_key(std::string(32, 'x'));
    unsealer.unseal(0, stranger);
    ASSERT_EQ(unsealer.notes().size(), 1U);
    EXPECT_NE(unsealer.notes()[0].find("another key"), std::string::npos);
    for (const std::string &nonsense : {std::string(), std::string(65, '\4'), std::string("x")}) {
        pb::Statement broken = statement("a.example", token("acme"), "acme");
        broken.mutable_sealing()->set_encapsulated(nonsense);
        unsealer.unseal(1, broken);
        EXPECT_EQ(broken.workloads(0).tenant(), token("acme"));
    }
    pb::Statement empty = statement("a.example", token("acme"), "acme");
    empty.mutable_workloads(0)->mutable_sealed(0)->set_box("");
    empty.mutable_workloads(0)->mutable_sealed(0)->set_number(UINT64_MAX);
    unsealer.unseal(2, empty);
    EXPECT_EQ(unsealer.findings().size(), 4U);
}

TEST_F(UnsealTest, KeysThatAreNoneAreNamed) {
    auto error = [](const std::string &key, const std::string &join) {
        auto loaded = Unsealer::load(key, join);
        EXPECT_FALSE(loaded);
        return loaded ? std::string() : loaded.error().message;
    };
    EXPECT_NE(error("/absent", "").find("--unseal: "), std::string::npos);
    EXPECT_NE(error(keys_.path("auditor/sealing.pem"), "").find("private key"), std::string::npos);
    EXPECT_NE(error(keys_.path("auditor/sealing.key"), "/absent").find("--join-key: "),
              std::string::npos);
    EXPECT_NE(error(keys_.path("auditor/sealing.key"), keys_.path("log.vkeys")).find("join key"),
              std::string::npos);
}

} // namespace
} // namespace tally
