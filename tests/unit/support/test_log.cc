#include "tests/unit/support/test_log.h"

#include "attest/merkle.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace tally {

namespace fs = std::filesystem;

namespace {

// Without fsync: nothing here needs to outlive the test.
void write_file(const std::string &path, ByteView contents) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char *>(contents.data()),
               static_cast<std::streamsize>(contents.size()));
    EXPECT_TRUE(file.flush().good()) << path;
}

} // namespace

TestLog::TestLog(std::string origin, std::vector<NoteSigner> signers)
    : origin_(std::move(origin)), signers_(std::move(signers)) {
    std::string pattern = fs::temp_directory_path().string() + "/tally-log-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr)
        std::abort();
    directory_ = pattern;
}

TestLog::~TestLog() {
    fs::remove_all(directory_);
}

void TestLog::publish() const {
    std::vector<Digest> below; // the hashes that this level's tiles hold
    for (const Bytes &entry : entries_)
        below.push_back(leaf_hash(entry));
    Digest root = below.empty() ? empty_root() : subtree_root(below);
    std::vector<Digest> above;
    int level = 0;
    for (const Tile &tile : tiles_of(entries_.size())) {
        if (tile.level != level) {
            below = std::exchange(above, {});
            level = tile.level;
        }
        Bytes contents;
        size_t first = tile.index * kTileWidth;
        for (size_t i = first; i < first + tile.width; i++) {
            if (tile.level == Tile::kEntries)
                append_entry(contents, entries_[i]);
            else
                tally::append(contents, below[i]);
        }
        if (tile.level != Tile::kEntries && tile.width == kTileWidth)
            above.push_back(subtree_root(std::span(below).subspan(first, kTileWidth)));
        write_file(directory_ + "/" + tile.path(), contents);
    }
    write_checkpoint(entries_.size(), root);
}

void TestLog::write_checkpoint(uint64_t size, const Digest &root) const {
    auto note = sign_checkpoint({origin_, size, root}, signers_);
    ASSERT_TRUE(note);
    write_file(directory_ + "/checkpoint", view(*note));
}

} // namespace tally
