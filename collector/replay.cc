#include "collector/replay.h"

#include <filesystem>
#include <memory>
#include <openssl/x509.h>
#include <set>

namespace tally {

namespace {

// Entries that are indexed at once: each host's state is written once for all of its own.
constexpr size_t kTransaction = 16384;

// The SubjectPublicKeyInfo of a certificate that was checked on arrival.
Result<Bytes> public_key_of(const std::string &certificate) {
    const auto *at = reinterpret_cast<const unsigned char *>(certificate.data());
    std::unique_ptr<X509, decltype(&X509_free)> parsed(
        d2i_X509(nullptr, &at, static_cast<long>(certificate.size())), X509_free);
    unsigned char *der = nullptr;
    int length = parsed ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(parsed.get()), &der) : -1;
    if (length <= 0)
        return Error{"its certificate cannot be read"};
    Bytes key(der, der + length);
    OPENSSL_free(der);
    return key;
}

// What does not go on from its host's last sequence was kept as the other side of a fork.
IndexRow replay(uint64_t log_index, const OpenedEntry &entry, Hosts &hosts,
                std::set<std::string> &changed) {
    if (const auto *said = std::get_if<OpenedExplanation>(&entry))
        return explanation_row(log_index, *said);
    const auto &opened = std::get<Opened>(entry);
    const pb::Statement &statement = opened.statement;
    HostState &state = hosts[statement.host()];
    if (statement.sequence() <= state.head.sequence)
        return fork_row(log_index, statement, opened.digest);
    follow(state, statement, opened.digest, opened.signing_key);
    changed.insert(statement.host());
    return index_row(log_index, statement, state);
}

} // namespace

Result<OpenedEntry> reopen(ByteView entry) {
    auto read = read_entry(entry);
    if (auto *breach = std::get_if<Breach>(&read))
        return Error{breach->reason};
    auto &unverified = std::get<UnverifiedEntry>(read);
    if (auto *said = std::get_if<UnverifiedExplanation>(&unverified))
        return OpenedEntry(std::move(said->opened));
    Opened opened = std::move(std::get<Unverified>(unverified).opened);
    const std::string &certificate = opened.statement.certificate();
    if (!certificate.empty()) {
        auto key = public_key_of(certificate);
        if (!key)
            return key.error();
        opened.signing_key = *std::move(key);
    }
    return OpenedEntry(std::move(opened));
}

Result<Hosts> catch_up(Index &index, TileLog &log, Judge *judge) {
    auto hosts = index.hosts();
    if (!hosts)
        return hosts.error();
    while (index.size() < log.size()) {
        std::vector<IndexRow> rows;
        std::set<std::string> names;
        uint64_t size = index.size();
        while (size < log.size() && rows.size() < kTransaction) {
            uint64_t bundle = size / kTileWidth;
            auto entries = log.entries(bundle);
            if (!entries)
                return entries.error();
            for (size_t i = size % kTileWidth; i < entries->size(); ++i) {
                uint64_t log_index = bundle * kTileWidth + i;
                auto opened = reopen((*entries)[i]);
                if (!opened)
                    return Error{"log entry " + std::to_string(log_index) + ": " +
                                 opened.error().message};
                rows.push_back(replay(log_index, *opened, *hosts, names));
                if (judge != nullptr)
                    judge->add(log_index, *std::move(opened));
            }
            size = bundle * kTileWidth + entries->size();
        }
        auto root = log.root_at(size);
        if (!root)
            return root.error();
        Hosts changed;
        for (const std::string &name : names)
            changed[name] = hosts->at(name);
        TALLY_TRY(index.add(rows, changed, size, *root));
    }
    return hosts;
}

Result<bool> belongs_to(const Index &index, TileLog &log) {
    auto root = log.root_at(index.size());
    if (!root)
        return root.error();
    return *root == index.root();
}

Result<uint64_t> reindex(const std::string &index_path, TileLog &log) {
    namespace fs = std::filesystem;
    std::string fresh = index_path + ".new";
    auto remove = [](const std::string &path) -> Status {
        std::error_code error;
        for (const char *suffix : {"", "-wal", "-shm"}) {
            fs::remove(path + suffix, error);
            if (error)
                return Error{"remove " + path + suffix + ": " + error.message()};
        }
        return ok();
    };
    TALLY_TRY(remove(fresh)); // of an attempt that was cut short
    {
        auto index = Index::open(fresh);
        if (!index)
            return index.error();
        Judge judge;
        auto hosts = catch_up(*index, log, &judge);
        if (!hosts)
            return hosts.error();
        TALLY_TRY(index->set_findings({}, finding_rows(judge.findings()), judge.size()));
    } // SQLite folds its write-ahead log into the file
    // Without its own write-ahead log the old index is only older: a crash here costs nothing.
    TALLY_TRY(remove(index_path));
    std::error_code error;
    fs::rename(fresh, index_path, error);
    if (error)
        return Error{"rename " + fresh + ": " + error.message()};
    return log.size();
}

} // namespace tally
