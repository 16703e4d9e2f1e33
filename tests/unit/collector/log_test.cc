#include "collector/log.h"

#include "base/durable.h"
#include "tests/unit/collector/support.h"
#include "tests/unit/support/keys.h"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>

namespace tally {
namespace {

std::string entry(uint64_t number) {
    return "entry " + std::to_string(number) + std::string(number % 50, '.');
}

Status append(TileLog &log, uint64_t count) {
    std::vector<std::string> entries;
    for (uint64_t i = 0; i < count; ++i)
        entries.push_back(entry(log.size() + i));
    std::vector<ByteView> views;
    for (const std::string &each : entries)
        views.push_back(view(each));
    return log.append(views);
}

Digest expected_root(uint64_t size) {
    CompactTree tree;
    for (uint64_t i = 0; i < size; ++i)
        tree.add(leaf_hash(view(entry(i))));
    return tree.root();
}

std::vector<std::string> expected_files(uint64_t size) {
    std::vector<std::string> files = {"checkpoint"};
    for (const Tile &tile : tiles_of(size))
        files.push_back(tile.path());
    std::sort(files.begin(), files.end());
    return files;
}

class LogAtSize : public testing::TestWithParam<uint64_t> {};

TEST_P(LogAtSize, HasTheFilesTheRootAndTheProofsOfItsSize) {
    Scratch scratch;
    TestKeys keys;
    uint64_t size = GetParam();
    {
        auto log = TileLog::open(scratch / "log", keys.log_signers(), 0);
        ASSERT_TRUE(log) << log.error().message;
        if (size > 0) {
            ASSERT_TRUE(append(*log, size));
        }
    }
    EXPECT_EQ(files_below(scratch / "log"), expected_files(size));
    auto log = TileLog::open(scratch / "log", keys.log_signers(), size);
    ASSERT_TRUE(log) << log.error().message;
    auto checkpoint = open_checkpoint(log->checkpoint(), keys.log_keys());
    ASSERT_TRUE(checkpoint) << checkpoint.error().message;
    EXPECT_EQ(checkpoint->size, size);
    EXPECT_EQ(checkpoint->root, expected_root(size));
    for (uint64_t i = 0; i < size; ++i) {
        auto proof = log->inclusion(i);
        ASSERT_TRUE(proof) << proof.error().message;
        EXPECT_TRUE(verify_inclusion(leaf_hash(view(entry(i))), i, size, *proof, checkpoint->root));
    }
    for (uint64_t older = 0; older <= size; older += 37)
        EXPECT_EQ(log->root_at(older).value(), expected_root(older)) << older;
    for (uint64_t bundle = 0; bundle * kTileWidth < size; ++bundle) {
        auto entries = log->entries(bundle);
        ASSERT_TRUE(entries) << entries.error().message;
        for (size_t i = 0; i < entries->size(); ++i)
            EXPECT_EQ(text((*entries)[i]), entry(bundle * kTileWidth + i));
    }
}

INSTANTIATE_TEST_SUITE_P(Sizes, LogAtSize,
                         testing::Values(0, 1, 2, 255, 256, 257, 511, 512, 513, 600));

TEST(TileLog, GrowsInManyBatchesAcrossReopening) {
    Scratch scratch;
    TestKeys keys;
    uint64_t size = 0;
    for (uint64_t batch : {1, 1, 100, 153, 1, 1, 255, 88, 300, 1, 1024}) {
        auto log = TileLog::open(scratch / "log", keys.log_signers(), size);
        ASSERT_TRUE(log) << log.error().message;
        ASSERT_TRUE(append(*log, batch));
        size += batch;
        auto checkpoint = open_checkpoint(log->checkpoint(), keys.log_keys());
        ASSERT_TRUE(checkpoint);
        EXPECT_EQ(checkpoint->root, expected_root(size));
        for (uint64_t i : {uint64_t{0}, size / 2, size - 1}) {
            auto proof = log->inclusion(i);
            ASSERT_TRUE(proof);
            EXPECT_TRUE(
                verify_inclusion(leaf_hash(view(entry(i))), i, size, *proof, checkpoint->root));
        }
        // Every tile of the present size is there; what else is there was published before.
        auto files = files_below(scratch / "log");
        for (const std::string &path : expected_files(size))
            EXPECT_TRUE(std::binary_search(files.begin(), files.end(), path)) << path;
    }
    for (const std::string &path : files_below(scratch / "log")) {
        auto tile = parse_tile_path(path);
        if (tile && tile->width < kTileWidth) {
            uint64_t hashes = tile->level == Tile::kEntries
                                  ? size
                                  : tile_hashes(static_cast<unsigned>(tile->level), size);
            EXPECT_EQ(tile->index, hashes / kTileWidth) << path << " has a full tile";
        }
    }
}

TEST(TileLog, CrossesTheThirdLevelOfTiles) {
    Scratch scratch;
    TestKeys keys;
    auto log = TileLog::open(scratch / "log", keys.log_signers(), 0);
    ASSERT_TRUE(log);
    ASSERT_TRUE(append(*log, 65535));
    ASSERT_TRUE(append(*log, 1));
    ASSERT_TRUE(append(*log, 300));
    auto reopened = TileLog::open(scratch / "log", keys.log_signers(), 65836);
    ASSERT_TRUE(reopened) << reopened.error().message;
    EXPECT_EQ(reopened->root_at(65836).value(), expected_root(65836));
    auto proof = reopened->inclusion(70);
    ASSERT_TRUE(proof);
    EXPECT_TRUE(
        verify_inclusion(leaf_hash(view(entry(70))), 70, 65836, *proof, expected_root(65836)));
}

TEST(TileLog, RecoveryRemovesWhatWasNeverPublished) {
    Scratch scratch;
    TestKeys keys;
    {
        auto log = TileLog::open(scratch / "log", keys.log_signers(), 0);
        ASSERT_TRUE(log && append(*log, 250));
    }
    auto published = read_file(scratch / "log/checkpoint");
    ASSERT_TRUE(published);
    {
        auto log = TileLog::open(scratch / "log", keys.log_signers(), 250);
        ASSERT_TRUE(log && append(*log, 300));
    }
    // As if the power went just before the checkpoint of 550 was renamed into place, and with a
    // partial tile that the full one had already replaced.
    std::filesystem::remove_all(scratch / "log/tile");
    {
        auto log = TileLog::open(scratch / "again", keys.log_signers(), 0);
        ASSERT_TRUE(log && append(*log, 250));
        std::filesystem::copy(scratch / "again/tile", scratch / "kept",
                              std::filesystem::copy_options::recursive);
        ASSERT_TRUE(append(*log, 300));
    }
    std::filesystem::copy(scratch / "again/tile", scratch / "log/tile",
                          std::filesystem::copy_options::recursive);
    std::filesystem::copy(scratch / "kept", scratch / "log/tile",
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
    ASSERT_TRUE(replace_file(scratch / "log/checkpoint", *published));
    ASSERT_TRUE(replace_file(scratch / "log/tile/0/000.tmp", view("half a tile")));

    auto log = TileLog::open(scratch / "log", keys.log_signers(), 250);
    ASSERT_TRUE(log) << log.error().message;
    EXPECT_EQ(log->size(), 250U);
    EXPECT_TRUE(log->foreign().empty());
    EXPECT_EQ(files_below(scratch / "log"), expected_files(250));
    ASSERT_TRUE(append(*log, 10));
    EXPECT_EQ(log->root_at(260).value(), expected_root(260));
}

TEST(TileLog, NamesTheFileOfAFlippedByte) {
    for (uint64_t size : {3, 256, 600}) {
        Scratch scratch;
        TestKeys keys;
        {
            auto log = TileLog::open(scratch / "log", keys.log_signers(), 0);
            ASSERT_TRUE(log && append(*log, size));
        }
        for (const std::string &path : expected_files(size)) {
            std::string file = scratch / "log/" + path;
            size_t length = std::filesystem::file_size(file);
            for (size_t at : {size_t{0}, length / 2, length - 1}) {
                flip_byte(file, at);
                auto log = TileLog::open(scratch / "log", keys.log_signers(), size);
                ASSERT_FALSE(log) << path << " byte " << at;
                EXPECT_NE(log.error().message.find(path), std::string::npos)
                    << path << ": " << log.error().message;
                flip_byte(file, at);
            }
        }
        EXPECT_TRUE(TileLog::open(scratch / "log", keys.log_signers(), size));
    }
}

TEST(TileLog, NamesAFileThatIsMissingOrCutShort) {
    Scratch scratch;
    TestKeys keys;
    {
        auto log = TileLog::open(scratch / "log", keys.log_signers(), 0);
        ASSERT_TRUE(log && append(*log, 300));
    }
    for (const std::string &path : expected_files(300)) {
        std::string file = scratch / "log/" + path;
        auto whole = read_file(file);
        ASSERT_TRUE(whole);
        for (bool gone : {false, true}) {
            std::filesystem::resize_file(file, whole->size() - 1);
            if (gone)
                std::filesystem::remove(file);
            auto log = TileLog::open(scratch / "log", keys.log_signers(), 300);
            ASSERT_FALSE(log) << path;
            EXPECT_NE(log.error().message.find(path), std::string::npos) << log.error().message;
            ASSERT_TRUE(replace_file(file, *whole));
        }
    }
}

TEST(TileLog, RefusesToGoBackBehindWhatWasAcknowledged) {
    Scratch scratch;
    TestKeys keys;
    {
        auto log = TileLog::open(scratch / "log", keys.log_signers(), 0);
        ASSERT_TRUE(log && append(*log, 10));
    }
    auto log = TileLog::open(scratch / "log", keys.log_signers(), 11);
    ASSERT_FALSE(log);
    EXPECT_NE(log.error().message.find("rolled back"), std::string::npos) << log.error().message;
}

TEST(TileLog, RefusesACheckpointOfOtherKeys) {
    Scratch scratch;
    TestKeys keys, others;
    ASSERT_TRUE(TileLog::open(scratch / "log", keys.log_signers(), 0));
    auto log = TileLog::open(scratch / "log", others.log_signers(), 0);
    ASSERT_FALSE(log);
    EXPECT_NE(log.error().message.find("/checkpoint: "), std::string::npos);
}

TEST(TileLog, LeavesForeignFilesAloneAndNamesThem) {
    Scratch scratch;
    TestKeys keys;
    ASSERT_TRUE(TileLog::open(scratch / "log", keys.log_signers(), 0));
    ASSERT_TRUE(make_directories(scratch / "log/tile/0"));
    ASSERT_TRUE(replace_file(scratch / "log/tile/0/notes.txt", view("hello")));
    auto log = TileLog::open(scratch / "log", keys.log_signers(), 0);
    ASSERT_TRUE(log) << log.error().message;
    EXPECT_EQ(log->foreign(), std::vector<std::string>{"tile/0/notes.txt"});
    EXPECT_TRUE(std::filesystem::exists(scratch / "log/tile/0/notes.txt"));
}

} // namespace
} // namespace tally
