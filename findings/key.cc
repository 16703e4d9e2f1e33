// key: another key than before signs for a host.
//
// Proves: from here on the host's statements are signed by another key that the fleet's authority
// certified for this host; the old key did not vouch for it.
// Does not prove: that the change was not asked for. A rotation is explained by whoever did it.
#include "findings/rule.h"

namespace tally {

namespace {

class KeyRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        if (!entry.place.earlier_key.empty())
            found.add(entry, "key",
                      "signed by key " + to_hex(sha256(entry.opened.signing_key)) +
                          ", the chain before by key " + entry.place.earlier_key);
    }
};

} // namespace

std::unique_ptr<Rule> key_rule() {
    return std::make_unique<KeyRule>();
}

} // namespace tally
