// Nothing leaves the host but what the table says. A statement with a name of its own in each of
// its fields, as the schema has them, is let out at every level and searched.
#include "agent/statement/disclosure.h"

#include "agent/statement/statement.h"
#include "attest/dsse.h"
#include "attest/names.h"
#include "base/durable.h"
#include "base/text.h"
#include "tests/unit/agent/scratch.h"
#include "tests/unit/support/keys.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <gtest/gtest.h>
#include <map>
#include <sstream>

namespace tally {
namespace {

namespace gp = google::protobuf;

// attest/statement.proto as it stands in the tree: the agent's own classes carry no descriptors.
class Schema {
public:
    Schema() {
        Scratch scratch;
        std::string compiled = scratch / "schema";
        EXPECT_EQ(
            std::system(
                ("protoc --descriptor_set_out=" + compiled + " attest/statement.proto").c_str()),
            0);
        gp::FileDescriptorSet files;
        EXPECT_TRUE(files.ParseFromString(std::string(text(slurp(compiled)))));
        statement_ = pool_.BuildFile(files.file(0))->FindMessageTypeByName("Statement");
        walk(*statement_, "", [&](const std::string &path, const gp::FieldDescriptor &) {
            leaves_.push_back(path);
        });
    }
    const std::vector<std::string> &leaves() const { return leaves_; }

    // One of everything; each text is its field's mark, each number 77.
    pb::Statement filled() {
        std::unique_ptr<gp::Message> message(factory_.GetPrototype(statement_)->New());
        fill(*message, "");
        pb::Statement statement;
        EXPECT_TRUE(statement.ParseFromString(message->SerializeAsString()));
        return statement;
    }
    static std::string mark(const std::string &path) { return "<" + path + ">"; }

private:
    template <typename See>
    void walk(const gp::Descriptor &type, const std::string &prefix, const See &see) {
        for (int i = 0; i < type.field_count(); i++) {
            const gp::FieldDescriptor &field = *type.field(i);
            std::string path = prefix + field.name();
            if (field.message_type() != nullptr)
                walk(*field.message_type(), path + ".", see);
            else
                see(path, field);
        }
    }
    void fill(gp::Message &message, const std::string &prefix) {
        const gp::Reflection &set = *message.GetReflection();
        for (int i = 0; i < message.GetDescriptor()->field_count(); i++) {
            const gp::FieldDescriptor *field = message.GetDescriptor()->field(i);
            std::string path = prefix + field->name();
            bool many = field->is_repeated();
            switch (field->cpp_type()) {
            case gp::FieldDescriptor::CPPTYPE_MESSAGE:
                fill(many ? *set.AddMessage(&message, field) : *set.MutableMessage(&message, field),
                     path + ".");
                break;
            case gp::FieldDescriptor::CPPTYPE_STRING:
                many ? set.AddString(&message, field, mark(path))
                     : set.SetString(&message, field, mark(path));
                break;
            case gp::FieldDescriptor::CPPTYPE_UINT32:
                set.SetUInt32(&message, field, 77);
                break;
            case gp::FieldDescriptor::CPPTYPE_UINT64:
                set.SetUInt64(&message, field, 77);
                break;
            case gp::FieldDescriptor::CPPTYPE_BOOL:
                set.SetBool(&message, field, true);
                break;
            case gp::FieldDescriptor::CPPTYPE_ENUM:
                set.SetEnumValue(&message, field, 1);
                break;
            default:
                ADD_FAILURE() << path << ": a type that this test does not know";
            }
        }
    }

    gp::DescriptorPool pool_;
    gp::DynamicMessageFactory factory_;
    const gp::Descriptor *statement_ = nullptr;
    std::vector<std::string> leaves_;
};

// Every kind of field that lists a leaf.
std::map<std::string, std::vector<const KindRow *>> rows_of_leaves() {
    std::map<std::string, std::vector<const KindRow *>> rows;
    for (const KindRow &row : disclosure_table()) {
        std::istringstream fields(row.fields);
        for (std::string field; fields >> field;)
            rows[field].push_back(&row);
    }
    return rows;
}

class DisclosureTest : public testing::Test {
protected:
    Disclosure at(Privacy level) {
        auto loaded = Disclosure::load(
            {level, keys_.path("join.key"), keys_.path("auditor/sealing.pem")}, "gpu1.example");
        EXPECT_TRUE(loaded) << loaded.error().message;
        return *std::move(loaded);
    }
    // As Windows::attest does.
    static pb::Statement let_out(const Disclosure &disclosure, const pb::Statement &full,
                                 bool brief = false) {
        Outgoing outgoing(disclosure);
        std::vector<pb::Statement> parts = {full};
        pb::Statement &out = parts[0];
        out.clear_sealing();
        for (pb::Event &event : *out.mutable_events()) {
            event.clear_sealed();
            outgoing.let_out(event);
        }
        for (pb::Workload &workload : *out.mutable_workloads()) {
            workload.clear_sealed();
            workload = outgoing.workload(workload, brief);
        }
        EXPECT_TRUE(outgoing.finish(parts));
        return out;
    }

    TestKeys keys_;
};

TEST_F(DisclosureTest, EveryFieldOfAStatementIsInTheTable) {
    Schema schema;
    auto rows = rows_of_leaves();
    for (const std::string &leaf : schema.leaves()) {
        EXPECT_EQ(rows[leaf].size(), leaf == "events.detail" ? 2U : 1U)
            << leaf << ": say in agent/statement/disclosure_table.cc what leaves the host of it";
        rows.erase(leaf);
    }
    for (const auto &[leaf, row] : rows)
        ADD_FAILURE() << leaf << " is in the table, but no field of a statement";
    size_t at = 0;
    for (const KindRow &row : disclosure_table())
        EXPECT_EQ(static_cast<size_t>(row.kind), at++) << row.what;
    EXPECT_EQ(at, static_cast<size_t>(Kind::kKinds));
}

TEST_F(DisclosureTest, NothingLeavesButWhatTheTableSays) {
    Schema schema;
    auto rows = rows_of_leaves();
    for (Privacy level : {Privacy::kFull, Privacy::kSealed, Privacy::kMinimal}) {
        for (pb::Event::Kind kind : {pb::Event::KIND_AGENT_START, pb::Event::KIND_AGENT_TRACED}) {
            pb::Statement full = schema.filled();
            full.mutable_events(0)->set_kind(kind);
            std::string bytes = let_out(at(level), full).SerializeAsString();
            for (const std::string &leaf : schema.leaves()) {
                const KindRow *row = rows.at(leaf)[0];
                if (leaf == "events.detail")
                    row = &disclosure_table()[static_cast<size_t>(detail_kind(kind))];
                if (row->kind == Kind::kSealing)
                    continue; // made when it is let out
                bool out = row->at[static_cast<size_t>(level)] == Treatment::kAsIs;
                bool is_text =
                    full.SerializeAsString().find(Schema::mark(leaf)) != std::string::npos;
                EXPECT_EQ(bytes.find(Schema::mark(leaf)) != std::string::npos, out && is_text)
                    << leaf << " at level " << privacy_name(level);
            }
        }
    }
}

TEST_F(DisclosureTest, AKindOfEventThatNobodyListedIsAboutSomebody) {
    EXPECT_EQ(detail_kind(static_cast<pb::Event::Kind>(9999)), Kind::kDetails);
    EXPECT_EQ(detail_kind(pb::Event::KIND_AGENT_SIGNALLED), Kind::kDetails);
    EXPECT_EQ(detail_kind(pb::Event::KIND_CLOCK_SET), Kind::kNameless);
}

TEST_F(DisclosureTest, WhatNumbersStayAtMinimal) {
    Schema schema;
    pb::Statement out = let_out(at(Privacy::kMinimal), schema.filled());
    ASSERT_EQ(out.workloads_size(), 1);
    const pb::Workload &workload = out.workloads(0);
    EXPECT_EQ(workload.cgroup_id(), 77U);
    EXPECT_TRUE(is_token(workload.tenant()));
    EXPECT_TRUE(is_token(workload.parent()));
    EXPECT_TRUE(is_token(workload.payers(0)));
    EXPECT_EQ(workload.cgroup_path(), "");
    EXPECT_FALSE(workload.has_identity());
    EXPECT_FALSE(workload.has_attribution());
    EXPECT_FALSE(workload.has_opener());
    EXPECT_EQ(workload.sealed_size(), 0);
    EXPECT_FALSE(out.has_sealing());
    out = let_out(at(Privacy::kMinimal), [&] {
        pb::Statement statement = schema.filled();
        statement.mutable_events(0)->set_kind(pb::Event::KIND_AGENT_SIGNALLED);
        return statement;
    }());
    EXPECT_EQ(out.events(0).detail(), "withheld");
    EXPECT_FALSE(out.events(0).has_sealed());
}

TEST_F(DisclosureTest, TheAuditorOpensEveryNameAndNobodyElse) {
    Schema schema;
    pb::Statement full = schema.filled();
    full.mutable_events(0)->set_kind(pb::Event::KIND_AGENT_TRACED);
    pb::Statement out = let_out(at(Privacy::kSealed), full);
    auto key = AgreementKey::from_pem(keys_.read("auditor/sealing.key"));
    ASSERT_TRUE(key);
    EXPECT_EQ(to_hex(view(out.sealing().key())), to_hex(hpke_key_id(key->point())));
    auto receiver = HpkeReceiver::start(*key, view(out.sealing().encapsulated()), view(kBoxInfo));
    ASSERT_TRUE(receiver);
    std::map<std::string, std::string> names;
    auto open = [&](const pb::SealedName &sealed) {
        EXPECT_FALSE(receiver->open(sealed.number(), box_context("gpu2.example", sealed.token()),
                                    view(sealed.box())))
            << "bound to its host";
        auto name = receiver->open(sealed.number(), box_context("gpu1.example", sealed.token()),
                                   view(sealed.box()));
        ASSERT_TRUE(name) << name.error().message;
        EXPECT_EQ(token_of(*parse_join_key(keys_.read("join.key")), *name), sealed.token());
        names[sealed.token()] = value_of(*name);
    };
    for (const pb::SealedName &sealed : out.workloads(0).sealed())
        open(sealed);
    open(out.events(0).sealed());
    EXPECT_EQ(names[out.workloads(0).tenant()], full.workloads(0).tenant());
    EXPECT_EQ(names[out.workloads(0).cgroup_path()], full.workloads(0).cgroup_path());
    EXPECT_EQ(names[out.workloads(0).identity().names(0).value()],
              full.workloads(0).identity().names(0).value());
    EXPECT_EQ(names[out.workloads(0).attribution().contract()],
              full.workloads(0).attribution().contract());
    EXPECT_EQ(names[out.events(0).detail()], full.events(0).detail());
    EXPECT_EQ(names.size(), 12U); // 3 parties, path, value, file, rule, 3 terms, executable, event
    auto stranger = AgreementKey::generate();
    auto theirs =
        HpkeReceiver::start(*stranger, view(out.sealing().encapsulated()), view(kBoxInfo));
    EXPECT_FALSE(theirs->open(0, box_context("gpu1.example", out.workloads(0).sealed(0).token()),
                              view(out.workloads(0).sealed(0).box())));
}

TEST_F(DisclosureTest, ANameHasOneBoxAWindowAndNoneInBrief) {
    Disclosure disclosure = at(Privacy::kSealed);
    Outgoing outgoing(disclosure);
    pb::Workload full;
    full.set_tenant("acme");
    full.set_cgroup_path("/a");
    EXPECT_EQ(outgoing.workload(full, /*brief=*/true).sealed_size(), 0);
    EXPECT_EQ(outgoing.workload(full, /*brief=*/false).sealed_size(), 2);
    full.set_cgroup_path("/b");
    pb::Workload second = outgoing.workload(full, /*brief=*/false);
    ASSERT_EQ(second.sealed_size(), 1);
    EXPECT_EQ(second.sealed(0).token(), second.cgroup_path());
    EXPECT_EQ(second.sealed(0).number(), 2U);
    full.clear_tenant(); // nobody's stays nobody's
    EXPECT_EQ(outgoing.workload(full, /*brief=*/false).tenant(), "");
}

// The longest names there can be, each another's: no part outgrows an attestation at any level.
TEST_F(DisclosureTest, AWindowFullOfLongNamesFitsItsParts) {
    Snapshot before{.at = {10 * kSecond, 1000 * kSecond}};
    Snapshot after{.at = {20 * kSecond, 1010 * kSecond}};
    constexpr uint64_t kWorkloads = 60;
    for (uint64_t id = 1; id <= kWorkloads; id++)
        after.usage[{id, 0}] = {kSecond, 1, 0, 1, 0};
    for (Privacy level : {Privacy::kFull, Privacy::kSealed, Privacy::kMinimal}) {
        Disclosure disclosure = at(level);
        Outgoing outgoing(disclosure);
        auto parts = make_statements(
            {before.at, 1, before, after, pb::RUNG_TRACED, {}, nullptr, {}, {}, {}},
            [&](uint64_t id) {
                Workload workload;
                std::string own = std::to_string(id);
                workload.cgroup_path = "/" + own + std::string(4090, 'p');
                workload.identity.source = "kubernetes";
                for (int i = 0; i < 24; i++)
                    workload.identity.names.push_back(
                        {"kubernetes.name" + std::to_string(i),
                         own + std::to_string(i) + std::string(240, 'n')});
                for (int i = 0; i < 4; i++)
                    workload.identity.origins.push_back({own + std::string(240, 'o'), {}, {}});
                workload.tenant.name = own + std::string(100, 't');
                workload.tenant.rule = std::string(1000, 'r');
                return outgoing.workload(to_message(id, workload, false), false);
            });
        EXPECT_TRUE(outgoing.finish(parts));
        int rows = 0;
        for (const pb::Statement &part : parts) {
            EXPECT_LE(part.ByteSizeLong(), kMaxAttestation - 2048) << privacy_name(level);
            rows += part.usage_size();
            EXPECT_EQ(part.has_sealing(), level == Privacy::kSealed);
        }
        EXPECT_EQ(rows, static_cast<int>(kWorkloads));
    }
}

TEST_F(DisclosureTest, EqualNamesJoinAcrossHosts) {
    pb::Workload full;
    full.set_tenant("acme");
    auto token = [&](const char *host, const std::string &join_key) {
        auto disclosure = Disclosure::load({Privacy::kMinimal, join_key, ""}, host);
        EXPECT_TRUE(disclosure);
        return Outgoing(*disclosure).workload(full, false).tenant();
    };
    std::string join = keys_.path("join.key");
    EXPECT_EQ(token("gpu1.example", join), token("gpu2.example", join));
    TestKeys other;
    EXPECT_NE(token("gpu1.example", join), token("gpu1.example", other.path("join.key")));
}

TEST_F(DisclosureTest, KeysThatAreNoneAreNamed) {
    auto error = [&](Privacy level, const std::string &join, const std::string &auditor) {
        auto loaded = Disclosure::load({level, join, auditor}, "gpu1.example");
        EXPECT_FALSE(loaded);
        return loaded ? std::string() : loaded.error().message;
    };
    std::string join = keys_.path("join.key");
    Scratch scratch;
    std::string shorter = scratch / "short.key";
    ASSERT_TRUE(replace_file(shorter, view("abcd\n")));
    EXPECT_NE(error(Privacy::kMinimal, "/absent", "").find("/absent"), std::string::npos);
    EXPECT_NE(error(Privacy::kMinimal, shorter, "").find("not a join key"), std::string::npos);
    EXPECT_NE(error(Privacy::kSealed, join, "/absent").find("/absent"), std::string::npos);
    EXPECT_NE(error(Privacy::kSealed, join, keys_.path("auditor/sealing.key"))
                  .find("a private key: the public one belongs here"),
              std::string::npos);
    EXPECT_NE(error(Privacy::kSealed, join, keys_.path("fleet-ca.pem")).find("PEM public key"),
              std::string::npos);
    EXPECT_TRUE(Disclosure::load({Privacy::kFull, "/absent", "/absent"}, "h"));
}

TEST_F(DisclosureTest, ThePageFitsAScreenAndMarksWhatIsInForce) {
    for (Privacy level : {Privacy::kFull, Privacy::kSealed, Privacy::kMinimal}) {
        std::string page = disclosure_text(level);
        EXPECT_NE(page.find(std::string(privacy_name(level)) + " (in force)"), std::string::npos);
        std::string_view rest = page;
        int lines = 0;
        for (; !rest.empty(); lines++)
            EXPECT_LE(take_until(rest, '\n').size(), 100U);
        EXPECT_LE(lines, 30);
        for (const KindRow &row : disclosure_table())
            EXPECT_NE(page.find(row.what), std::string::npos) << row.what;
    }
}

} // namespace
} // namespace tally
