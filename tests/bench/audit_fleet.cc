#include "tests/bench/audit_fleet.h"

#include "attest/layout.h"
#include "attest/merkle.h"
#include "base/durable.h"

#include <algorithm>
#include <fstream>
#include <thread>

namespace tally {

namespace {

constexpr uint64_t kWindow = 60 * TestHost::kSecond;
constexpr size_t kHourly = 60; // windows
constexpr unsigned kDevices = 8;
constexpr size_t kTenants = 40;
constexpr size_t kRound = 64; // windows of every host that are signed before they are written

// Tiles as they fill up; what is partial, and the checkpoint, at the end.
class Writer {
public:
    explicit Writer(std::string directory) : directory_(std::move(directory)) {}

    Status add(const Bytes &entry) {
        append_entry(bundle_, entry);
        Digest leaf = leaf_hash(entry);
        tree_.add(leaf);
        if (tree_.size() % kTileWidth == 0) {
            TALLY_TRY(write({Tile::kEntries, tree_.size() / kTileWidth - 1}, bundle_));
            bundle_.clear();
        }
        return push(0, leaf);
    }

    Status finish(const TestKeys &keys) {
        uint64_t size = tree_.size();
        auto partial = static_cast<unsigned>(size % kTileWidth);
        if (partial > 0)
            TALLY_TRY(write({Tile::kEntries, size / kTileWidth, partial}, bundle_));
        for (size_t level = 0; level < levels_.size(); level++) {
            if (!levels_[level].empty())
                TALLY_TRY(write_hashes(level, tile_hashes(level, size) / kTileWidth));
        }
        auto note = sign_checkpoint({TestKeys::kOrigin, size, tree_.root()}, keys.log_signers());
        if (!note)
            return note.error();
        return write_file("checkpoint", view(*note));
    }

private:
    Status push(size_t level, const Digest &hash) {
        if (level == levels_.size())
            levels_.emplace_back();
        levels_[level].push_back(hash);
        if (levels_[level].size() < kTileWidth)
            return ok();
        Digest root = subtree_root(levels_[level]);
        TALLY_TRY(write_hashes(level, (tree_.size() >> (kTileHeight * level)) / kTileWidth - 1));
        levels_[level].clear();
        return push(level + 1, root);
    }
    Status write_hashes(size_t level, uint64_t index) {
        Bytes contents;
        for (const Digest &hash : levels_[level])
            append(contents, hash);
        return write({static_cast<int>(level), index, static_cast<unsigned>(levels_[level].size())},
                     contents);
    }
    Status write(const Tile &tile, const Bytes &contents) {
        return write_file(tile.path(), contents);
    }
    Status write_file(const std::string &name, ByteView contents) {
        std::string path = directory_ + "/" + name;
        TALLY_TRY(make_directories(path.substr(0, path.rfind('/'))));
        std::ofstream file(path, std::ios::binary | std::ios::trunc);
        file.write(reinterpret_cast<const char *>(contents.data()),
                   static_cast<std::streamsize>(contents.size()));
        return file.flush() ? ok() : Status(errno_error("write " + path));
    }

    std::string directory_;
    Bytes bundle_;
    CompactTree tree_;
    std::vector<std::vector<Digest>> levels_; // of each, the tile that is not full
};

class FleetHost {
public:
    FleetHost(TestHost host, size_t number) : host_(std::move(host)), number_(number) {
        pb::Statement first = host_.next();
        pb::Device &device = *first.mutable_inventory()->mutable_devices(0);
        device.set_model("stand-in");
        for (unsigned i = 0; i < kDevices; i++) {
            if (i > 0)
                *first.mutable_inventory()->add_devices() = first.inventory().devices(0);
            pb::Device &one = *first.mutable_inventory()->mutable_devices(static_cast<int>(i));
            one.set_index(i);
            one.set_id("pci:0000:" + std::to_string(10 + i) + ":00.0");
            one.set_uuid("GPU-" + std::to_string(number) + "-" + std::to_string(i));
        }
        introduction_.Swap(&first);
    }

    Bytes attest(size_t window) {
        pb::Statement statement = host_.next();
        pb::Window &time = *statement.mutable_window();
        time.set_end_boottime_ns(time.begin_boottime_ns() + kWindow);
        time.set_end_wall_ns(time.begin_wall_ns() + kWindow);
        statement.mutable_recording()->set_scans(60);
        if (window % kHourly == 0) {
            *statement.mutable_inventory() = introduction_.inventory();
            *statement.mutable_agent() = introduction_.agent();
            statement.set_certificate(introduction_.certificate());
        }
        size_t shift = window / kHourly + number_;
        if (shift % 3 == 0) {
            std::string tenant = std::to_string(shift % kTenants);
            statement.mutable_workloads(0)->set_tenant("tenant-" + tenant);
            statement.mutable_workloads(0)->set_parent("parent-" + std::to_string(shift % 7));
            statement.mutable_usage(0)->set_device(static_cast<uint32_t>(number_ % kDevices));
            statement.mutable_usage(0)->set_held_ns(kWindow);
        } else {
            statement.clear_usage();
            statement.clear_workloads();
        }
        return host_.attest(statement);
    }

private:
    TestHost host_;
    size_t number_;
    pb::Statement introduction_;
};

// What each host says in the windows [begin, end).
std::vector<std::vector<Bytes>> sign(std::vector<FleetHost> &fleet, size_t begin, size_t end) {
    std::vector<std::vector<Bytes>> said(fleet.size());
    unsigned count = std::max(1U, std::thread::hardware_concurrency());
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < count; t++)
        threads.emplace_back([&, t] {
            for (size_t i = t; i < fleet.size(); i += count) {
                for (size_t window = begin; window < end; window++)
                    said[i].push_back(fleet[i].attest(window));
            }
        });
    threads.clear(); // joins
    return said;
}

} // namespace

Status write_fleet_log(const TestKeys &keys, const std::vector<std::string> &hosts, size_t total,
                       const std::string &directory) {
    std::vector<FleetHost> fleet;
    for (const std::string &name : hosts)
        fleet.emplace_back(keys.host(name), fleet.size());
    Writer writer(directory);
    size_t windows = total / hosts.size();
    for (size_t begin = 0; begin < windows; begin += kRound) {
        size_t end = std::min(begin + kRound, windows);
        auto said = sign(fleet, begin, end);
        for (size_t window = 0; window < end - begin; window++) {
            for (const auto &of_host : said)
                TALLY_TRY(writer.add(of_host[window]));
        }
    }
    return writer.finish(keys);
}

} // namespace tally
