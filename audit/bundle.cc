#include "audit/bundle.h"

#include "attest/bundle.pb.h"
#include "attest/merkle.h"
#include "attest/parties.h"
#include "audit/batch.h"
#include "base/durable.h"
#include "base/text.h"

#include <fstream>

namespace tally {

namespace {

constexpr uint32_t kLongest = 1U << 20; // a message: keys and checkpoint, or attestation and proof

// Reads the messages of a bundle's file one after another.
class BundleReader {
public:
    explicit BundleReader(const std::string &path) : path_(path), file_(path, std::ios::binary) {}

    Status begin() {
        std::string magic(kBundleMagic.size(), '\0');
        if (!file_.read(magic.data(), static_cast<std::streamsize>(magic.size())) ||
            magic != kBundleMagic)
            return Error{path_ + ": is not a bundle that tally prove wrote"};
        return ok();
    }
    template <typename Message> Result<Message> next() {
        uint8_t prefix[4];
        Message message;
        if (!file_.read(reinterpret_cast<char *>(prefix), sizeof(prefix)))
            return Error{path_ + ": is cut short"};
        uint32_t length = get_be32(prefix);
        if (length > kLongest)
            return Error{path_ + ": a message of " + std::to_string(length) + " bytes"};
        std::string bytes(length, '\0');
        if (!file_.read(bytes.data(), length))
            return Error{path_ + ": is cut short"};
        if (!message.ParseFromString(bytes))
            return Error{path_ + ": a message cannot be read"};
        return message;
    }
    bool at_end() { return file_.peek() == std::ifstream::traits_type::eof(); }

private:
    const std::string &path_;
    std::ifstream file_;
};

// The entries of a bundle, each verified by itself; no chain is complete here.
class BundleEntries {
public:
    BundleEntries(const FleetRoot &root, BundleAccount &account)
        : checkpoint_(account.checkpoint), root_(root), account_(account) {}

    Status add(const pb::BundleEntry &message) {
        if (any_ && message.index() <= last_)
            return Error{"entries are not in the log's order"};
        any_ = true;
        last_ = message.index();
        TALLY_TRY(check_included(message));
        auto read = read_entry(view(message.attestation()));
        if (auto *breach = std::get_if<Breach>(&read))
            return Error{breach->reason};
        auto &entry = std::get<UnverifiedEntry>(read);
        if (auto *said = std::get_if<UnverifiedExplanation>(&entry))
            return add(message.index(), *said);
        return add(message.index(), std::get<Unverified>(entry));
    }

private:
    Status add(uint64_t index, Unverified &unverified) {
        const pb::Statement &statement = unverified.opened.statement;
        if (!statement.certificate().empty()) {
            auto certified = certified_key(statement, root_);
            if (auto *breach = std::get_if<Breach>(&certified))
                return Error{breach->reason};
            keys_.add(statement.host(), std::get<KeyCache::Known>(certified));
        }
        const KeyCache::Known *key = keys_.find(statement.host(), unverified.envelope.key_id);
        if (key == nullptr)
            return Error{"no signing certificate of its host before it"};
        if (auto breach = verify_signature(unverified, *key))
            return Error{breach->reason};
        Devices &devices = devices_[statement.host()];
        if (statement.has_inventory()) {
            devices.clear();
            for (const pb::Device &device : statement.inventory().devices())
                devices[device.index()] = device;
        }
        // Said twice, it counts once.
        Place place;
        if (!said_.insert({statement.host(), statement.sequence()}).second)
            place.kind = Place::Kind::kFork;
        account_.usage.add({index, unverified.opened, devices, place});
        digests_[index] = unverified.opened.digest;
        return ok();
    }

    // Only of findings that are shown here: of others nobody could tell what it speaks of.
    Status add(uint64_t index, const UnverifiedExplanation &unverified) {
        if (auto breach = verify_explanation(unverified, root_))
            return Error{breach->reason};
        const OpenedExplanation &opened = unverified.opened;
        if (!signed_.insert(opened.signed_digest).second)
            return Error{"the same explanation once more"};
        size_t before = account_.explanations.size();
        for (const pb::FindingName &name : opened.explanation.findings()) {
            auto shown = digests_.find(name.log_index());
            if (shown != digests_.end() && equal(shown->second, view(name.entry())))
                account_.explanations.push_back({index, name, explained_by(opened)});
        }
        return account_.explanations.size() > before
                   ? ok()
                   : Status(Error{"explains nothing that the bundle holds"});
    }

    Status check_included(const pb::BundleEntry &message) const {
        std::vector<Digest> proof;
        for (const std::string &hash : message.proof()) {
            Digest &digest = proof.emplace_back();
            if (hash.size() != digest.size() || proof.size() > 64)
                return Error{"inclusion proof: is not a list of hashes"};
            std::copy(hash.begin(), hash.end(), digest.begin());
        }
        auto included = verify_inclusion(leaf_hash(view(message.attestation())), message.index(),
                                         checkpoint_.size, proof, checkpoint_.root);
        return included ? ok() : Status(Error{"inclusion proof: " + included.error().message});
    }

    const Checkpoint &checkpoint_;
    const FleetRoot &root_;
    BundleAccount &account_;
    std::set<Digest> signed_;            // of the explanations
    std::map<uint64_t, Digest> digests_; // of the attestations, by log index
    HostKeys keys_;
    std::map<std::string, Devices> devices_;
    std::set<std::pair<std::string, uint64_t>> said_;
    bool any_ = false;
    uint64_t last_ = 0;
};

} // namespace

Bytes framed(const std::string &message) {
    Bytes bytes;
    put_be32(bytes, static_cast<uint32_t>(message.size()));
    append(bytes, view(message));
    return bytes;
}

bool is_bundle(const std::string &path) {
    BundleReader reader(path);
    return static_cast<bool>(reader.begin());
}

Result<BundleAccount> check_bundle(const std::string &path, const std::string &log_keys,
                                   const std::string &fleet_root) {
    BundleReader reader(path);
    TALLY_TRY(reader.begin());
    auto header = reader.next<pb::BundleHeader>();
    if (!header)
        return header.error();
    BundleAccount account;
    account.own_keys = log_keys.empty() || fleet_root.empty();
    account.log_keys = log_keys.empty() ? header->log_keys() : log_keys;
    account.fleet_root = fleet_root.empty() ? header->fleet_root() : fleet_root;
    auto keys = parse_vkeys(account.log_keys);
    if (!keys)
        return Error{path + ": log keys: " + keys.error().message};
    auto root = FleetRoot::from_pem(account.fleet_root);
    if (!root)
        return Error{path + ": fleet root: " + root.error().message};
    auto checkpoint = open_checkpoint(header->checkpoint(), *keys);
    if (!checkpoint)
        return Error{path + ": checkpoint: " + checkpoint.error().message};
    account.checkpoint = *checkpoint;
    account.question.tenant = header->tenant();
    account.question.from_ns = header->from_wall_ns();
    account.question.to_ns = header->to_wall_ns();
    account.usage = UsageSums(account.question);
    BundleEntries entries(*root, account);
    for (; account.entries < header->entries(); account.entries++) {
        auto entry = reader.next<pb::BundleEntry>();
        if (!entry)
            return entry.error();
        if (auto added = entries.add(*entry); !added)
            return Error{path + ": log index " + std::to_string(entry->index()) + ": " +
                         added.error().message};
    }
    if (!reader.at_end())
        return Error{path + ": goes on behind its last entry"};
    return account;
}

std::string bundle_text(const BundleAccount &account) {
    constexpr auto kLeft = Table::Align::kLeft;
    constexpr auto kRight = Table::Align::kRight;
    const Question &question = account.question;
    std::string text = "bundle of log " + account.checkpoint.origin + ", " +
                       std::to_string(account.entries) + " of its " +
                       std::to_string(account.checkpoint.size) +
                       (account.checkpoint.size == 1 ? " entry" : " entries") + ", root " +
                       to_base64(account.checkpoint.root) + "\n";
    text += "asked: " +
            (question.tenant.empty() ? "any tenant" : "tenant " + printable(question.tenant)) +
            (question.from_ns > 0 ? ", from " + utc_time(question.from_ns) : "") +
            (question.to_ns < UINT64_MAX ? ", to " + utc_time(question.to_ns) : "") + "\n\n";
    Table table({kLeft, kLeft, kLeft, kLeft, kRight, kRight, kRight});
    table.add({"TENANT", "PARENT", "HOST", "DEVICE", "HELD", "AT MOST", "WINDOWS"});
    for (const auto &[key, sum] : account.usage.rows())
        table.add({key.tenant.empty() ? std::string(kUnattributed) + " " + printable(key.cgroup)
                                      : printable(key.tenant),
                   key.parent.empty() ? "-" : printable(key.parent), key.host,
                   printable(key.device), duration(sum.held_ns), duration(sum.held_upper_ns),
                   std::to_string(sum.windows)});
    text += table.str();
    for (const auto &[index, name, explained] : account.explanations)
        text += "\n" + id_of(name) + " of " + name.host() + ", sequence " +
                std::to_string(name.sequence()) + ", at log index " + std::to_string(index) + ": " +
                in_words(explained);
    text += account.explanations.empty() ? "" : "\n";
    text +=
        "\nverified: checkpoint, every inclusion proof, certificate and signature. That nothing "
        "was left out only the whole log shows.\n";
    if (account.own_keys)
        text += "note: checked with the keys that the bundle brings; compare them with the log's "
                "and the fleet's own: sha256 of the log keys " +
                to_hex(sha256(view(account.log_keys))) + ", of the fleet root " +
                to_hex(sha256(view(account.fleet_root))) + "\n";
    return text;
}

} // namespace tally
