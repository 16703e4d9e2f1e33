// C2SP tlog-tiles: paths and bundles, with the specification's own examples.
#include "attest/layout.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

TEST(Layout, PathsAreThoseOfTheSpecification) {
    EXPECT_EQ((Tile{0, 1234067}.path()), "tile/0/x001/x234/067");
    EXPECT_EQ((Tile{0, 5}.path()), "tile/0/005");
    EXPECT_EQ((Tile{1, 273, 112}.path()), "tile/1/273.p/112");
    EXPECT_EQ((Tile{Tile::kEntries, 1000, 3}.path()), "tile/entries/x001/000.p/3");
}

TEST(Layout, PathsParseBackAndNoOthersParse) {
    for (int level : {Tile::kEntries, 0, 1, 63}) {
        for (uint64_t index : {uint64_t{0}, uint64_t{999}, uint64_t{1000}, uint64_t{1234067}}) {
            for (unsigned width : {1U, 255U, 256U}) {
                Tile tile{level, index, width};
                EXPECT_EQ(parse_tile_path(tile.path()), tile) << tile.path();
            }
        }
    }
    for (const char *wrong : {"",
                              "checkpoint",
                              "tile",
                              "tile/",
                              "tile/0",
                              "tile/0/",
                              "tile/64/000",
                              "tile/00/000",
                              "tile/0/00",
                              "tile/0/0000",
                              "tile/0/x000/001",
                              "tile/0/001/002",
                              "tile/0/x001",
                              "tile/0/000.p",
                              "tile/0/000.p/0",
                              "tile/0/000.p/256",
                              "tile/0/000.p/01",
                              "tile/0/000/",
                              "/tile/0/000",
                              "tile/0/000.tmp",
                              "tile/-1/000",
                              "tile/entry/000",
                              "tile/0/x/000",
                              "tile/0/../0/000",
                              "tile/0/x999/x999/x999/x999/x999/x999/x999/999"})
        EXPECT_FALSE(parse_tile_path(wrong)) << wrong;
}

TEST(Layout, ATreeOfSeventyThousand) {
    int full[2] = {};
    std::vector<std::string> partial;
    for (const Tile &tile : tiles_of(70000)) {
        if (tile.level == Tile::kEntries)
            continue;
        if (tile.width == kTileWidth)
            full[tile.level]++;
        else
            partial.push_back(tile.path());
    }
    EXPECT_EQ(full[0], 273);
    EXPECT_EQ(full[1], 1);
    EXPECT_EQ(partial,
              (std::vector<std::string>{"tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"}));
}

TEST(Layout, EmptyTilesAreNotThere) {
    EXPECT_TRUE(tiles_of(0).empty());
    std::vector<std::string> paths;
    for (const Tile &tile : tiles_of(256))
        paths.push_back(tile.path());
    EXPECT_EQ(paths,
              (std::vector<std::string>{"tile/0/000", "tile/1/000.p/1", "tile/entries/000"}));
}

TEST(Layout, BundlesSplitIntoWhatWasAppended) {
    Bytes bundle;
    Bytes large(65535, 0x5a);
    append_entry(bundle, view("first"));
    append_entry(bundle, {});
    append_entry(bundle, large);
    auto entries = split_bundle(bundle);
    ASSERT_TRUE(entries);
    ASSERT_EQ(entries->size(), 3U);
    EXPECT_EQ(text((*entries)[0]), "first");
    EXPECT_TRUE((*entries)[1].empty());
    EXPECT_TRUE(equal((*entries)[2], large));
}

TEST(Layout, ACutBundleIsAnError) {
    Bytes bundle;
    append_entry(bundle, view("first"));
    append_entry(bundle, view("second"));
    for (size_t length = 1; length < bundle.size(); length++) {
        auto entries = split_bundle(ByteView(bundle).first(length));
        EXPECT_EQ(static_cast<bool>(entries), length == 7) << length;
    }
}

TEST(Layout, ABundleHoldsAtMostATilesWorth) {
    Bytes bundle;
    for (unsigned i = 0; i <= kTileWidth; i++)
        append_entry(bundle, {});
    EXPECT_FALSE(split_bundle(bundle));
}

} // namespace
} // namespace tally
