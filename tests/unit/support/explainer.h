// An auditor who explains findings. Inline, for what links the central side alone.
#pragma once

#include "attest/explain.h"
#include "tests/unit/support/keys.h"

#include <ctime>
#include <gtest/gtest.h>

namespace tally {

class Explainer {
public:
    // The key and certificate STEM.key and STEM.pem of the fleet.
    explicit Explainer(const TestKeys &keys, const std::string &stem = "auditor/signing")
        : key_(SigningKey::from_pem(keys.read(stem + ".key")).value()),
          certificate_(der_of(keys.read(stem + ".pem"))) {}

    pb::Explanation about(const pb::FindingName &name) const {
        pb::Explanation explanation;
        *explanation.add_findings() = name;
        explanation.set_why("power maintenance");
        explanation.set_reference("OPS-1234");
        // One nanosecond later each: what is said twice is said once.
        explanation.set_wall_ns(static_cast<uint64_t>(std::time(nullptr)) * TestHost::kSecond +
                                ++said_);
        explanation.set_certificate(certificate_.data(), certificate_.size());
        return explanation;
    }
    Bytes sign(const pb::Explanation &explanation, std::string_view type = kExplanationType) const {
        auto entry = dsse_seal(view(explanation.SerializeAsString()), key_, type);
        EXPECT_TRUE(entry);
        return *entry;
    }
    Bytes explain(const pb::FindingName &name, const std::string &why = "power maintenance",
                  bool withdrawn = false) const {
        pb::Explanation explanation = about(name);
        explanation.set_why(why);
        explanation.set_withdrawn(withdrawn);
        return sign(explanation);
    }

private:
    SigningKey key_;
    Bytes certificate_;
    mutable uint64_t said_ = 0;
};

// Of what an attestation shows, as it lies in the log.
inline pb::FindingName finding_name(const std::string &kind, uint64_t log_index,
                                    ByteView attestation, uint32_t nth = 1) {
    pb::Statement statement = statement_in(attestation);
    Digest digest = sha256(attestation);
    pb::FindingName name;
    name.set_kind(kind);
    name.set_nth(nth);
    name.set_log_index(log_index);
    name.set_entry(digest.data(), digest.size());
    name.set_host(statement.host());
    name.set_sequence(statement.sequence());
    return name;
}

} // namespace tally
