// What the rules say of a statement once the signer has filled in its part.
#pragma once

#include "attest/rules.h"

#include <string>

namespace tally {

// Empty: nothing.
inline std::string breach_of(pb::Statement statement) {
    statement.set_host("h1.example");
    statement.set_boot_id(std::string(16, 'b'));
    statement.set_sequence(1);
    auto breach = check_statement(statement);
    return breach ? breach->reason : "";
}

} // namespace tally
