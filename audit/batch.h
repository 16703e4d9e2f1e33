// One entry bundle on its way through walk(): read, taken apart, verified. What needs no order runs
// in worker threads; only which key a host signs with depends on what came before.
#pragma once

#include "attest/explain.h"
#include "audit/source.h"

#include <future>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace tally {

// The keys that certificates in the log have brought so far, by host and key id.
class HostKeys {
public:
    // The host's key of that id, or another of its keys if there is none; null before the first.
    const KeyCache::Known *find(const std::string &host, const std::string &id) const;
    void add(const std::string &host, const KeyCache::Known &key);

private:
    std::unordered_map<std::string, std::map<std::string, KeyCache::Known>> keys_;
};

struct Batch {
    uint64_t first = 0; // its first entry's index in the log
    Tile tile;          // as the log's size has it
    Source::TileFile file;
    std::vector<ByteView> entries; // views into file.bytes
    std::optional<Error> error;    // of reading the bundle

    // One per entry.
    struct Item {
        Digest leaf{};
        std::optional<Unverified> read; // of an attestation; else:
        std::optional<OpenedExplanation> explanation;
        std::optional<KeyCache::Known> certified; // by the certificate that it brings
        const KeyCache::Known *key = nullptr;     // else the one it must be signed with
        std::optional<Breach> breach;
        bool verified = false;
    };
    std::vector<Item> items;
    std::future<void> working;

    // Reads the bundle; what is wrong with it is in `error`.
    void load(const Source &source, uint64_t first_index, uint64_t size);
    // In a worker: hashes, takes apart, verifies what brings its own certificate.
    void open(const FleetRoot &root);
    // In the log's order: takes note of new keys, and gives each entry the key it must be signed
    // with, which stays in `keys`.
    void assign_keys(HostKeys &keys);
    // In a worker: verifies what open() could not.
    void verify();
};

} // namespace tally
