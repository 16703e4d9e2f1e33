#include "collector/index.h"

#include "attest/merkle.h"
#include "collector/index_sql.h"

#include <algorithm>

namespace tally {

namespace {

constexpr int kVersion = 4;

constexpr const char *kSchema[] = {
    "CREATE TABLE IF NOT EXISTS log_state (version INTEGER PRIMARY KEY, size BIGINT NOT NULL,"
    " root TEXT NOT NULL, judged BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS hosts (host TEXT PRIMARY KEY, sequence BIGINT NOT NULL,"
    " digest TEXT NOT NULL, boot_id TEXT NOT NULL, begin_boottime_ns BIGINT NOT NULL,"
    " end_boottime_ns BIGINT NOT NULL, end_wall_ns BIGINT NOT NULL, part BIGINT NOT NULL,"
    " parts BIGINT NOT NULL, signing_key TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS devices (host TEXT NOT NULL, device_index BIGINT NOT NULL,"
    " device TEXT NOT NULL, model TEXT NOT NULL, PRIMARY KEY (host, device_index))",
    "CREATE TABLE IF NOT EXISTS attestations (log_index BIGINT PRIMARY KEY, host TEXT NOT NULL,"
    " sequence BIGINT NOT NULL, begin_wall_ns BIGINT NOT NULL, end_wall_ns BIGINT NOT NULL,"
    " begin_boottime_ns BIGINT NOT NULL, end_boottime_ns BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS forks (log_index BIGINT PRIMARY KEY, host TEXT NOT NULL,"
    " sequence BIGINT NOT NULL, digest TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS forks_by_host ON forks (host, sequence)",
    "CREATE TABLE IF NOT EXISTS explanations (log_index BIGINT PRIMARY KEY,"
    " signed_digest TEXT NOT NULL, who TEXT NOT NULL, wall_ns BIGINT NOT NULL, why TEXT NOT NULL,"
    " reference TEXT NOT NULL, withdrawn BIGINT NOT NULL, findings TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS explanations_by_digest ON explanations (signed_digest)",
    "CREATE UNIQUE INDEX IF NOT EXISTS attestations_by_host ON attestations (host, sequence)",
};

void write_explanation(soci::session &sql, uint64_t log_index, const OpenedExplanation &said) {
    const pb::Explanation &explanation = said.explanation;
    long long index = to_sql(log_index), wall = to_sql(explanation.wall_ns());
    long long withdrawn = explanation.withdrawn() ? 1 : 0;
    std::string digest = to_hex(said.signed_digest), findings;
    for (const pb::FindingName &name : explanation.findings())
        findings += (findings.empty() ? "" : " ") + id_of(name);
    sql << "INSERT INTO explanations (log_index, signed_digest, who, wall_ns, why, reference,"
           " withdrawn, findings) VALUES (:log_index, :digest, :who, :wall, :why, :reference,"
           " :withdrawn, :findings)",
        soci::use(index), soci::use(digest), soci::use(said.who), soci::use(wall),
        soci::use(explanation.why()), soci::use(explanation.reference()), soci::use(withdrawn),
        soci::use(findings);
}

void write_rows(soci::session &sql, std::span<const IndexRow> rows) {
    long long log_index = 0, sequence = 0;
    long long begin_wall = 0, end_wall = 0, begin_boot = 0, end_boot = 0;
    std::string host;
    soci::statement entry =
        (sql.prepare << "INSERT INTO attestations (log_index, host, sequence, begin_wall_ns,"
                        " end_wall_ns, begin_boottime_ns, end_boottime_ns)"
                        " VALUES (:log_index, :host, :sequence, :bw, :ew, :bb, :eb)",
         soci::use(log_index), soci::use(host), soci::use(sequence), soci::use(begin_wall),
         soci::use(end_wall), soci::use(begin_boot), soci::use(end_boot));
    for (const IndexRow &row : rows) {
        if (row.explanation) {
            write_explanation(sql, row.log_index, *row.explanation);
            continue;
        }
        log_index = to_sql(row.log_index);
        host = row.host;
        sequence = to_sql(row.sequence);
        if (row.fork) {
            std::string digest = to_hex(*row.fork);
            sql << "INSERT INTO forks (log_index, host, sequence, digest)"
                   " VALUES (:log_index, :host, :sequence, :digest)",
                soci::use(log_index), soci::use(host), soci::use(sequence), soci::use(digest);
            continue;
        }
        begin_wall = to_sql(row.begin_wall_ns);
        end_wall = to_sql(row.end_wall_ns);
        begin_boot = to_sql(row.begin_boottime_ns);
        end_boot = to_sql(row.end_boottime_ns);
        entry.execute(true);
    }
}

void write_hosts(soci::session &sql, const Hosts &changed) {
    std::string host, digest, boot, key;
    long long sequence = 0, part = 0, parts = 0, begin_boot = 0, end_boot = 0, end_wall = 0;
    soci::statement write =
        (sql.prepare << "INSERT INTO hosts (host, sequence, digest, boot_id, begin_boottime_ns,"
                        " end_boottime_ns, end_wall_ns, part, parts, signing_key)"
                        " VALUES (:host, :sequence, :digest, :boot, :bb, :eb, :ew, :part, :parts,"
                        " :key) ON CONFLICT (host) DO UPDATE SET sequence = excluded.sequence,"
                        " digest = excluded.digest, boot_id = excluded.boot_id,"
                        " begin_boottime_ns = excluded.begin_boottime_ns,"
                        " end_boottime_ns = excluded.end_boottime_ns,"
                        " end_wall_ns = excluded.end_wall_ns, part = excluded.part,"
                        " parts = excluded.parts, signing_key = excluded.signing_key",
         soci::use(host), soci::use(sequence), soci::use(digest), soci::use(boot),
         soci::use(begin_boot), soci::use(end_boot), soci::use(end_wall), soci::use(part),
         soci::use(parts), soci::use(key));
    for (const auto &[name, state] : changed) {
        const ChainHead &head = state.head;
        host = head.host;
        digest = to_hex(head.digest);
        boot = to_hex(view(head.boot_id));
        key = to_hex(head.signing_key);
        sequence = to_sql(head.sequence);
        part = head.part;
        parts = head.parts;
        begin_boot = to_sql(head.begin_boottime_ns);
        end_boot = to_sql(head.end_boottime_ns);
        end_wall = to_sql(head.end_wall_ns);
        write.execute(true);
    }
}

void write_devices(soci::session &sql, const std::string &host, const HostState &state) {
    sql << "DELETE FROM devices WHERE host = :host", soci::use(host);
    for (const auto &[index, device] : state.devices) {
        long long number = index;
        sql << "INSERT INTO devices (host, device_index, device, model)"
               " VALUES (:host, :number, :device, :model)",
            soci::use(host), soci::use(number), soci::use(device.id), soci::use(device.model);
    }
}

} // namespace

Index::Index(std::unique_ptr<soci::session> sql, std::string path)
    : sql_(std::move(sql)), path_(std::move(path)) {
}
Index::Index(Index &&) noexcept = default;
Index &Index::operator=(Index &&) noexcept = default;
Index::~Index() = default;

Result<Index> Index::open(const std::string &path) {
    return guarded<Index>(path, [&]() -> Result<Index> {
        auto sql = std::make_unique<soci::session>(soci::sqlite3, "db=\"" + path + "\" timeout=1");
        // The log is the truth: a power cut may cost the index its last transactions.
        *sql << "PRAGMA journal_mode = WAL";
        *sql << "PRAGMA synchronous = NORMAL";
        for (const char *statement : kSchema)
            *sql << statement;
        for (const char *statement : kDaysSchema)
            *sql << statement;
        for (const char *statement : kFoundSchema)
            *sql << statement;
        Index index(std::move(sql), path);
        int version = kVersion;
        long long size = 0;
        std::string root = to_hex(empty_root());
        *index.sql_ << "SELECT version, size, root FROM log_state", soci::into(version),
            soci::into(size), soci::into(root);
        if (!index.sql_->got_data())
            *index.sql_
                << "INSERT INTO log_state (version, size, root, judged) VALUES (:v, 0, :root, 0)",
                soci::use(version), soci::use(root);
        if (version != kVersion)
            return Error{"index " + path +
                         ": was made by another version; stop the collector and run"
                         " `tally-collector reindex`"};
        index.size_ = static_cast<uint64_t>(size);
        index.root_ = digest_of(root);
        return index;
    });
}

Status Index::add(std::span<const IndexRow> rows, const Hosts &changed, uint64_t size,
                  const Digest &root) {
    auto status = guarded<Done>(path_, [&]() -> Status {
        soci::transaction transaction(*sql_);
        write_rows(*sql_, rows);
        add_to_days(*sql_, rows);
        write_hosts(*sql_, changed);
        for (const auto &[host, state] : changed) {
            if (state.new_inventory)
                write_devices(*sql_, host, state);
        }
        long long entries = to_sql(size);
        std::string hex = to_hex(root);
        *sql_ << "UPDATE log_state SET size = :size, root = :root", soci::use(entries),
            soci::use(hex);
        transaction.commit();
        return ok();
    });
    if (status) {
        size_ = size;
        root_ = root;
    }
    return status;
}

Result<Hosts> Index::hosts() {
    return guarded<Hosts>(path_, [&]() -> Result<Hosts> {
        Hosts hosts;
        ChainHead head;
        std::string digest, boot, key;
        long long sequence = 0, begin_boot = 0, end_boot = 0, end_wall = 0, part = 0, parts = 0;
        soci::statement each =
            (sql_->prepare << "SELECT host, sequence, digest, boot_id, begin_boottime_ns,"
                              " end_boottime_ns, end_wall_ns, part, parts, signing_key FROM hosts",
             soci::into(head.host), soci::into(sequence), soci::into(digest), soci::into(boot),
             soci::into(begin_boot), soci::into(end_boot), soci::into(end_wall), soci::into(part),
             soci::into(parts), soci::into(key));
        each.execute();
        while (each.fetch()) {
            head.sequence = static_cast<uint64_t>(sequence);
            head.digest = digest_of(digest);
            head.boot_id = text(bytes_of(boot));
            head.begin_boottime_ns = static_cast<uint64_t>(begin_boot);
            head.end_boottime_ns = static_cast<uint64_t>(end_boot);
            head.end_wall_ns = static_cast<uint64_t>(end_wall);
            head.part = static_cast<uint32_t>(part);
            head.parts = static_cast<uint32_t>(parts);
            head.signing_key = bytes_of(key);
            hosts[head.host].head = head;
        }
        std::string host;
        KnownDevice device;
        long long number = 0;
        soci::statement named =
            (sql_->prepare << "SELECT host, device_index, device, model FROM devices",
             soci::into(host), soci::into(number), soci::into(device.id), soci::into(device.model));
        named.execute();
        while (named.fetch()) {
            HostState &state = hosts[host];
            state.head.devices.insert(static_cast<uint32_t>(number));
            state.devices[static_cast<uint32_t>(number)] = device;
        }
        return hosts;
    });
}

Result<std::vector<Index::Position>> Index::positions(const std::string &host, uint64_t sequence,
                                                      size_t limit) {
    using Positions = std::vector<Position>;
    return guarded<Positions>(path_, [&]() -> Result<Positions> {
        Positions positions;
        long long from = to_sql(sequence), most = static_cast<long long>(limit);
        long long found = 0, log_index = 0;
        soci::statement each =
            (sql_->prepare << "SELECT sequence, log_index FROM attestations WHERE host = :host"
                              " AND sequence >= :sequence ORDER BY sequence LIMIT :most",
             soci::use(host), soci::use(from), soci::use(most), soci::into(found),
             soci::into(log_index));
        each.execute();
        while (each.fetch())
            positions.push_back({static_cast<uint64_t>(found), static_cast<uint64_t>(log_index)});
        return positions;
    });
}

Result<bool> Index::holds_fork(const std::string &host, uint64_t sequence, const Digest &digest) {
    return guarded<bool>(path_, [&] {
        long long number = to_sql(sequence), found = 0;
        std::string hex = to_hex(digest);
        *sql_ << "SELECT COUNT(*) FROM forks WHERE host = :host AND sequence = :sequence"
                 " AND digest = :digest",
            soci::use(host), soci::use(number), soci::use(hex), soci::into(found);
        return found > 0;
    });
}

Result<std::optional<uint64_t>> Index::explanation(const Digest &signed_digest) {
    using Place = std::optional<uint64_t>;
    return guarded<Place>(path_, [&] {
        long long log_index = 0;
        std::string digest = to_hex(signed_digest);
        *sql_ << "SELECT log_index FROM explanations WHERE signed_digest = :digest"
                 " ORDER BY log_index LIMIT 1",
            soci::use(digest), soci::into(log_index);
        return sql_->got_data() ? Place(static_cast<uint64_t>(log_index)) : Place();
    });
}

Result<FindingRows> Index::findings() {
    return guarded<FindingRows>(path_, [&] { return read_findings(*sql_); });
}

Status Index::set_findings(const FindingRows &before, const FindingRows &after, uint64_t judged) {
    return guarded<Done>(path_, [&]() -> Status {
        long long size = to_sql(judged);
        soci::transaction transaction(*sql_);
        *sql_ << "UPDATE log_state SET judged = :judged", soci::use(size);
        write_findings(*sql_, before, after);
        transaction.commit();
        return ok();
    });
}

Result<uint64_t> Index::judged() {
    return guarded<uint64_t>(path_, [&] {
        long long size = 0;
        *sql_ << "SELECT judged FROM log_state", soci::into(size);
        return static_cast<uint64_t>(size);
    });
}

Result<std::string> Index::held(const DayFilter &filter) {
    return guarded<std::string>(path_, [&] { return held_csv(*sql_, filter); });
}

Result<std::string> Index::coverage(const DayFilter &filter) {
    return guarded<std::string>(path_, [&] { return coverage_csv(*sql_, filter); });
}

} // namespace tally
