// Verifying keys by their SubjectPublicKeyInfo, parsed once. To parse a key costs half as much as
// to verify a signature with it, and a host's attestations bring the same one again and again.
//
// Bounded: when it is full the key that was not asked for the longest goes. Thread-safe.
#pragma once

#include "attest/crypto.h"

#include <list>
#include <mutex>
#include <string_view>
#include <unordered_map>

namespace tally {

class KeyCache {
public:
    explicit KeyCache(size_t most) : most_(most) {}

    struct Known {
        VerifyingKey key;
        std::string id; // key_id(key)
    };
    // An error as VerifyingKey::from_spki has it; errors are not kept.
    Result<Known> get(ByteView spki);
    size_t size() const;

private:
    struct Kept {
        Bytes spki;
        Known known;
    };
    using Order = std::list<Kept>; // the last asked for first

    const size_t most_;
    mutable std::mutex mutex_;
    Order order_;
    std::unordered_map<std::string_view, Order::iterator> kept_; // by the spki in order_
};

} // namespace tally
