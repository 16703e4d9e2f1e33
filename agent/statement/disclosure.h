// What leaves the host, at each level of privacy. One table (disclosure_table) says it for every
// field of a statement; the code below asks that table, and `tallyd --print-disclosure` prints it.
//
//   full      everything
//   sealed    names as tokens to join on, each in a box that only the auditor can open
//   minimal   tokens of tenants and payers alone
//
// The host's own baseline and log keep the names: neither leaves it.
#pragma once

#include "agent/statement/events.h"
#include "attest/hpke.h"
#include "attest/statement.pb.h"
#include "base/result.h"

#include <array>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tally {

enum class Privacy { kFull, kSealed, kMinimal };
inline constexpr size_t kPrivacyLevels = 3;
const char *privacy_name(Privacy level);
Result<Privacy> parse_privacy(const std::string &name);

enum class Treatment {
    kAsIs,
    kSealed, // a token and, where a workload is told in full, a box
    kToken,  // a token alone
    kKeyed,  // a digest, keyed
    kNothing,
};

// A kind of field: the leaves of a Statement that are of it, as "workloads.tenant",
// space-separated.
enum class Kind {
    kChain,
    kDevices,
    kUsage,
    kOccupancy,
    kWork,
    kRecording,
    kAgent,
    kSealing,
    kServices,
    kCgroupId,
    kParties,
    kCgroupPath,
    kIdentityKeys,
    kIdentityValues,
    kFiles,
    kDigests,
    kRule,
    kTerms,
    kExecutable,
    kOpener,
    kEvents,
    kNameless, // details of events that name nobody
    kDetails,  // all others
    kKinds
};
struct KindRow {
    Kind kind;
    const char *what; // for a person
    std::array<Treatment, kPrivacyLevels> at;
    const char *fields;
};
const std::vector<KindRow> &disclosure_table();
Kind detail_kind(pb::Event::Kind kind);

// One screen: what leaves a host at each level, `level` marked.
std::string disclosure_text(Privacy level);

struct PrivacyConfig {
    Privacy level = Privacy::kFull;
    std::string join_key;    // files
    std::string auditor_key; // public
};

// The level in force, with its keys.
class Disclosure {
public:
    // An error names the file and what is wrong with it. Reads no key that the level has no use
    // for.
    static Result<Disclosure> load(const PrivacyConfig &config, const std::string &host);
    Privacy level() const { return level_; }

private:
    friend class Outgoing;
    Privacy level_ = Privacy::kFull;
    std::string host_;
    Bytes join_key_;
    Bytes auditor_point_;
    Digest auditor_key_{}; // of its SubjectPublicKeyInfo
};

// What one window lets out. The disclosure must outlive it.
class Outgoing {
public:
    explicit Outgoing(const Disclosure &disclosure) : disclosure_(disclosure) {}

    // `brief`: its names were sealed by a statement before.
    pb::Workload workload(const pb::Workload &full, bool brief);
    void let_out(pb::Event &event);
    // Says in each statement how its boxes are opened. An error: what could not be sealed left as a
    // token alone.
    Status finish(std::vector<pb::Statement> &statements) const;

private:
    std::string name(Kind kind, const std::string &name_kind, const std::string &value);
    std::string digest(const std::string &plain) const;
    pb::Identity identity(const pb::Identity &full);
    pb::Attribution attribution(const pb::Attribution &full);
    pb::Opener opener(const pb::Opener &full);
    Treatment treatment(Kind kind) const;
    Status seal(const std::string &token, ByteView name);

    const Disclosure &disclosure_;
    std::optional<HpkeSender> sender_;  // from the first box on
    std::set<std::string> sealed_;      // tokens that have their box
    std::vector<pb::SealedName> boxes_; // of what is in hand
    bool sealing_ = false;              // what is in hand is told in full
    std::optional<Error> failure_;
};

} // namespace tally
