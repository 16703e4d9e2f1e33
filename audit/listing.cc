#include "audit/listing.h"

namespace tally {

namespace {

constexpr std::string_view kTemporary = ".tmp"; // base/durable.h writes these, then renames them

// Counts files of one kind and remembers one of them.
class Noted {
public:
    void add(const std::string &name) {
        if (count_++ == 0)
            first_ = name;
    }
    void describe(const std::string &what, std::vector<std::string> &notes) const {
        if (count_ > 0)
            notes.push_back(std::to_string(count_) + (count_ == 1 ? " file " : " files ") + what +
                            ", not read: " + printable(first_) + (count_ > 1 ? ", ..." : ""));
    }

private:
    uint64_t count_ = 0;
    std::string first_;
};

bool is_beyond(const Tile &tile, uint64_t size) {
    uint64_t hashes =
        tile.level == Tile::kEntries ? size : tile_hashes(static_cast<unsigned>(tile.level), size);
    uint64_t tiles = hashes / kTileWidth;
    return tile.index > tiles || (tile.index == tiles && tile.width > hashes % kTileWidth);
}

} // namespace

Result<std::vector<std::string>> check_listing(const Source &source, uint64_t size) {
    Noted beyond;
    Noted unfinished;
    auto check = [&](const std::string &name) -> Status {
        std::string_view finished = name;
        bool temporary = finished.ends_with(kTemporary);
        if (temporary)
            finished.remove_suffix(kTemporary.size());
        auto tile = parse_tile_path(finished);
        if (!tile && finished != "checkpoint")
            return source.error(name, "not part of a log");
        if (temporary)
            unfinished.add(name);
        else if (tile && is_beyond(*tile, size))
            beyond.add(name);
        return ok();
    };
    TALLY_TRY(source.for_each_file(check));
    std::vector<std::string> notes;
    beyond.describe("beyond the checkpoint's " + std::to_string(size) + " entries", notes);
    unfinished.describe("half written", notes);
    return notes;
}

} // namespace tally
