// Names out of boxes: what `--unseal` shows in place of tokens (attest/names.h).
//
// A box opened with the auditor's key says which name its host means by a token, for it is bound to
// that host and that token, and stands in a statement that the host signed. That two hosts mean one
// name by one token shows too. That the token is the name's is proved by the join key alone:
// without it, a host that lies about a name is believed about itself.
#pragma once

#include "attest/hpke.h"
#include "attest/statement.pb.h"
#include "findings/finding.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tally {

class Unsealer {
public:
    // Files: the auditor's private key, PEM, and the fleet's join key; empty: there is none.
    static Result<Unsealer> load(const std::string &key_file, const std::string &join_key_file);

    // Opens the statement's boxes, and puts names where their host's tokens stand, as far as they
    // were told. Each host's statements in the log's order.
    void unseal(uint64_t index, pb::Statement &statement);

    // What a host means by a token: KIND LF VALUE; nothing if no box said so.
    std::optional<Bytes> name(const std::string &host, const std::string &token) const;

    // Boxes that do not open, and names that are not their token's: kind "sealed".
    std::vector<Finding> findings() const { return found_; }
    // What there was no way to open.
    std::vector<std::string> notes() const;

private:
    explicit Unsealer(AgreementKey key);
    void open(uint64_t index, const pb::Statement &statement, const pb::SealedName &sealed,
              const HpkeReceiver &receiver);
    void put_names(const std::string &host, pb::Workload &workload) const;
    std::string value(const std::string &host, const std::string &token) const;
    void find(uint64_t index, const pb::Statement &statement, const std::string &text);

    AgreementKey key_;
    Digest key_id_;
    Bytes join_key_;                                             // empty: not given
    std::map<std::pair<std::string, std::string>, Bytes> names_; // by host and token
    std::map<std::string, std::pair<std::string, Bytes>>
        meanings_; // the first by a token, and whose
    std::vector<Finding> found_;
    uint64_t for_another_ = 0;
    uint64_t beyond_ = 0;
};

} // namespace tally
