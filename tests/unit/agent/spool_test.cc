#include "agent/spool/spool.h"

#include "tests/unit/agent/scratch.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

namespace tally {
namespace {

constexpr uint64_t kRoomy = 1 << 30;

// Different lengths, so that a reader that slips is seen to.
Bytes payload(uint64_t sequence) {
    Bytes bytes;
    for (size_t i = 0; i < 20 + sequence % 7; i++)
        bytes.push_back(static_cast<uint8_t>(sequence * 31 + i));
    return bytes;
}

Spool open_spool(const std::string &directory, uint64_t segment_bytes = Spool::kSegmentBytes) {
    auto spool = Spool::open(directory, kRoomy, segment_bytes);
    if (!spool) {
        ADD_FAILURE() << spool.error().message;
        std::abort();
    }
    return std::move(*spool);
}

void fill(Spool &spool, uint64_t first, uint64_t last) {
    for (uint64_t sequence = first; sequence <= last; sequence++) {
        auto appended = spool.append(sequence, payload(sequence));
        ASSERT_TRUE(appended) << appended.error().message;
    }
}

void expect_held(const Spool &spool, uint64_t first, uint64_t last) {
    for (uint64_t sequence = first; sequence <= last; sequence++) {
        auto bytes = spool.read(sequence);
        ASSERT_TRUE(bytes) << bytes.error().message;
        EXPECT_EQ(*bytes, payload(sequence)) << sequence;
    }
}

std::vector<std::string> files(const std::string &directory) {
    std::vector<std::string> names;
    for (const auto &entry : std::filesystem::directory_iterator(directory))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

const std::string kFirstSegment = "00000000000000000001.seg";

std::string in(std::string directory) {
    return directory.append("/").append(kFirstSegment);
}

TEST(Spool, StartsEmpty) {
    Scratch scratch;
    Spool spool = open_spool(scratch / "deep/spool");
    EXPECT_EQ(spool.first_sequence(), 0u);
    EXPECT_EQ(spool.last_sequence(), 0u);
    EXPECT_EQ(spool.next_after(0), 0u);
    EXPECT_FALSE(spool.holds(0));
    EXPECT_FALSE(spool.read(1));
    EXPECT_TRUE(spool.damage().empty());
}

TEST(Spool, HoldsWhatWasAppendedAlsoAfterReopening) {
    Scratch scratch;
    {
        Spool spool = open_spool(scratch.path(), 2000);
        fill(spool, 1, 200);
        expect_held(spool, 1, 200);
    }
    Spool spool = open_spool(scratch.path(), 2000);
    EXPECT_TRUE(spool.damage().empty());
    EXPECT_EQ(spool.torn_bytes(), 0u);
    EXPECT_EQ(spool.first_sequence(), 1u);
    EXPECT_EQ(spool.last_sequence(), 200u);
    expect_held(spool, 1, 200);
    for (uint64_t sequence = 0; sequence < 200; sequence++)
        EXPECT_EQ(spool.next_after(sequence), sequence + 1);
    fill(spool, 201, 300);
    expect_held(spool, 1, 300);
    EXPECT_GT(files(scratch.path()).size(), 5u);
}

TEST(Spool, TakesTheLargestAttestationAndNoLarger) {
    Scratch scratch;
    Spool spool = open_spool(scratch.path());
    EXPECT_TRUE(spool.append(1, Bytes(65535, 7)));
    EXPECT_FALSE(spool.append(2, Bytes(65536, 7)));
    EXPECT_FALSE(spool.append(2, {}));
    EXPECT_TRUE(spool.append(2, Bytes(1, 7)));
    EXPECT_EQ(spool.read(1)->size(), 65535u);
}

TEST(Spool, TakesOnlyTheNextSequence) {
    Scratch scratch;
    Spool spool = open_spool(scratch.path());
    EXPECT_FALSE(spool.append(0, payload(1)));
    EXPECT_TRUE(spool.append(7, payload(7)));
    EXPECT_FALSE(spool.append(7, payload(7)));
    EXPECT_FALSE(spool.append(9, payload(9)));
    EXPECT_TRUE(spool.append(8, payload(8)));
    EXPECT_EQ(spool.first_sequence(), 7u);
    EXPECT_EQ(spool.next_after(3), 7u);
}

TEST(Spool, SegmentsStayBelowTheirLimit) {
    Scratch scratch;
    Spool spool = open_spool(scratch.path());
    for (uint64_t sequence = 1; sequence <= 40; sequence++)
        ASSERT_TRUE(spool.append(sequence, Bytes(60'000, 1)));
    for (const std::string &name : files(scratch.path()))
        EXPECT_LE(std::filesystem::file_size(scratch / name), Spool::kSegmentBytes);
    EXPECT_EQ(files(scratch.path()).size(), 3u);
    EXPECT_EQ(spool.bytes(), 40 * 60'016u);
}

TEST(Spool, IsFullAboveItsLimitAndStillTakesTheLastStatement) {
    Scratch scratch;
    auto spool = Spool::open(scratch.path(), 200, 100);
    ASSERT_TRUE(spool);
    fill(*spool, 1, 4);
    EXPECT_FALSE(spool->is_full());
    fill(*spool, 5, 6);
    EXPECT_TRUE(spool->is_full());
    fill(*spool, 7, 7);
    ASSERT_TRUE(spool->release_up_to(7));
    EXPECT_FALSE(spool->is_full());
}

TEST(Spool, ReleasesWholeSegmentsAndNeverTheLast) {
    Scratch scratch;
    {
        Spool spool = open_spool(scratch.path(), 400);
        fill(spool, 1, 50);
        size_t before = files(scratch.path()).size();
        ASSERT_TRUE(spool.release_up_to(1));
        EXPECT_EQ(files(scratch.path()).size(), before);
        ASSERT_TRUE(spool.release_up_to(25));
        EXPECT_GT(spool.first_sequence(), 10u);
        EXPECT_LE(spool.first_sequence(), 26u);
        expect_held(spool, spool.first_sequence(), 50);
        ASSERT_TRUE(spool.release_up_to(50));
        EXPECT_EQ(files(scratch.path()).size(), 1u);
        expect_held(spool, 50, 50);
    }
    Spool spool = open_spool(scratch.path(), 400);
    EXPECT_TRUE(spool.damage().empty());
    EXPECT_EQ(spool.last_sequence(), 50u);
    expect_held(spool, spool.first_sequence(), 50);
    fill(spool, 51, 60);
}

TEST(Spool, IsLockedWhileOpen) {
    Scratch scratch;
    Spool spool = open_spool(scratch.path());
    auto second = Spool::open(scratch.path(), kRoomy);
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().message.find("in use by another process"), std::string::npos);
}

TEST(Spool, RemovesHalfMadeSegmentsAndIgnoresForeignFiles) {
    Scratch scratch;
    spill(scratch / "00000000000000000009.seg.tmp", view("half"));
    spill(scratch / "notes.txt", view("mine"));
    Spool spool = open_spool(scratch.path());
    EXPECT_EQ(spool.last_sequence(), 0u);
    EXPECT_EQ(files(scratch.path()), std::vector<std::string>{"notes.txt"});
}

// A crash during append can leave any prefix of the last record.
TEST(Spool, ATornTailIsTruncatedAtEveryLength) {
    Scratch scratch;
    {
        Spool spool = open_spool(scratch / "whole");
        fill(spool, 1, 4);
    }
    Bytes whole = slurp(scratch / "whole/" + kFirstSegment);
    size_t last = 16 + payload(4).size();
    for (size_t cut = 1; cut <= last; cut++) {
        std::string directory = scratch / ("cut" + std::to_string(cut));
        std::filesystem::create_directory(directory);
        spill(in(directory), ByteView(whole).first(whole.size() - cut));
        {
            Spool spool = open_spool(directory);
            EXPECT_TRUE(spool.damage().empty()) << spool.damage()[0];
            EXPECT_EQ(spool.torn_bytes(), last - cut);
            EXPECT_EQ(spool.last_sequence(), 3u);
            expect_held(spool, 1, 3);
            fill(spool, 4, 5);
        }
        Spool spool = open_spool(directory);
        EXPECT_TRUE(spool.damage().empty());
        expect_held(spool, 1, 5);
        EXPECT_EQ(files(directory), std::vector<std::string>{kFirstSegment});
    }
}

// Whichever byte of a record in the middle is wrong, that record alone is lost, its bytes are kept
// aside, and this is said once.
TEST(Spool, EveryFlippedByteOfAMiddleRecordCostsThatRecordAlone) {
    Scratch scratch;
    size_t begin = 0;
    {
        Spool spool = open_spool(scratch / "whole");
        fill(spool, 1, 2);
        begin = spool.bytes();
        fill(spool, 3, 6);
    }
    Bytes whole = slurp(scratch / "whole/" + kFirstSegment);
    size_t size = 16 + payload(3).size();
    for (size_t at = 0; at < size; at++) {
        std::string directory = scratch / ("flip" + std::to_string(at));
        std::filesystem::create_directory(directory);
        Bytes damaged = whole;
        damaged[begin + at] ^= 0x41;
        spill(in(directory), damaged);
        {
            Spool spool = open_spool(directory);
            ASSERT_EQ(spool.damage().size(), 1u) << at;
            EXPECT_NE(spool.damage()[0].find("sequence 3 is lost"), std::string::npos)
                << spool.damage()[0];
            EXPECT_EQ(spool.torn_bytes(), 0u);
            EXPECT_FALSE(spool.holds(3));
            EXPECT_FALSE(spool.read(3));
            EXPECT_EQ(spool.next_after(2), 4u);
            EXPECT_EQ(spool.last_sequence(), 6u);
            expect_held(spool, 1, 2);
            expect_held(spool, 4, 6);
            EXPECT_EQ(slurp(in(directory) + ".damaged-1"),
                      to_bytes(ByteView(damaged).subspan(begin, size)));
            fill(spool, 7, 8);
        }
        Spool spool = open_spool(directory);
        EXPECT_TRUE(spool.damage().empty()) << "said once, not " << spool.damage()[0];
        expect_held(spool, 4, 8);
        EXPECT_EQ(files(directory).size(), 2u);
    }
}

TEST(Spool, DamageOfTheLastRecordIsKeptAsideAndAppendingGoesOn) {
    Scratch scratch;
    {
        Spool spool = open_spool(scratch.path());
        fill(spool, 1, 3);
    }
    Bytes bytes = slurp(scratch / kFirstSegment);
    bytes.back() ^= 1;
    spill(scratch / kFirstSegment, bytes);
    {
        Spool spool = open_spool(scratch.path());
        ASSERT_EQ(spool.damage().size(), 1u);
        EXPECT_EQ(spool.last_sequence(), 2u);
        fill(spool, 3, 5);
        expect_held(spool, 1, 5);
    }
    Spool spool = open_spool(scratch.path());
    EXPECT_TRUE(spool.damage().empty());
    expect_held(spool, 1, 5);
}

TEST(Spool, DamageNeverDeletesLaterSegments) {
    Scratch scratch;
    {
        Spool spool = open_spool(scratch.path(), 400);
        fill(spool, 1, 50);
    }
    std::vector<std::string> names = files(scratch.path());
    ASSERT_GT(names.size(), 4u);
    // The end of one segment, and the whole of another.
    Bytes cut = slurp(scratch / names[0]);
    spill(scratch / names[0], ByteView(cut).first(cut.size() - 5));
    Bytes zeros(slurp(scratch / names[2]).size(), 0);
    spill(scratch / names[2], zeros);

    Spool spool = open_spool(scratch.path(), 400);
    ASSERT_GE(spool.damage().size(), 2u);
    EXPECT_NE(spool.damage()[1].find("no good record"), std::string::npos) << spool.damage()[1];
    uint64_t held = 0;
    for (uint64_t at = spool.next_after(0); at != 0; at = spool.next_after(at)) {
        expect_held(spool, at, at);
        held++;
    }
    EXPECT_EQ(spool.last_sequence(), 50u);
    EXPECT_GT(held, 30u);
    EXPECT_EQ(slurp(scratch / names[2] + ".damaged-1"), zeros);
    fill(spool, 51, 55);
}

TEST(Spool, ALostSegmentIsSaid) {
    Scratch scratch;
    {
        Spool spool = open_spool(scratch.path(), 400);
        fill(spool, 1, 50);
    }
    std::filesystem::remove(scratch / files(scratch.path())[1]);
    Spool spool = open_spool(scratch.path(), 400);
    ASSERT_EQ(spool.damage().size(), 1u);
    EXPECT_NE(spool.damage()[0].find("are lost"), std::string::npos) << spool.damage()[0];
    EXPECT_EQ(spool.last_sequence(), 50u);
}

// Whatever the bytes, opening neither fails nor invents a record.
TEST(Spool, OpensWhateverTheBytes) {
    Scratch scratch;
    std::minstd_rand random(7);
    Bytes whole;
    {
        Spool spool = open_spool(scratch / "whole");
        fill(spool, 1, 30);
        whole = slurp(scratch / "whole/" + kFirstSegment);
    }
    for (int round = 0; round < 300; round++) {
        Bytes bytes = whole;
        for (int i = 0; i < 1 + round % 9; i++)
            bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
        if (round % 3 == 0)
            bytes.resize(random() % bytes.size());
        std::filesystem::remove_all(scratch / "any");
        std::filesystem::create_directory(scratch / "any");
        spill(scratch / "any/" + kFirstSegment, bytes);
        Spool spool = open_spool(scratch / "any");
        for (uint64_t at = spool.next_after(0); at != 0; at = spool.next_after(at))
            expect_held(spool, at, at);
        fill(spool, spool.last_sequence() + 1, spool.last_sequence() + 1);
    }
}

TEST(Spool, StopsAfterAFailedWrite) {
    Scratch scratch;
    Spool spool = open_spool(scratch.path(), 100);
    fill(spool, 1, 2);
    // The next segment cannot be made: its temporary name is taken by a directory.
    std::filesystem::create_directory(scratch / "00000000000000000003.seg.tmp");
    EXPECT_FALSE(spool.append(3, payload(3)));
    std::filesystem::remove(scratch / "00000000000000000003.seg.tmp");
    auto again = spool.append(3, payload(3));
    ASSERT_FALSE(again);
    EXPECT_NE(again.error().message.find("restart"), std::string::npos);
    expect_held(spool, 1, 2);
}

TEST(Spool, AReadChecksTheRecordAgain) {
    Scratch scratch;
    Spool spool = open_spool(scratch.path());
    fill(spool, 1, 3);
    Bytes bytes = slurp(scratch / kFirstSegment);
    bytes.back() ^= 1;
    spill(scratch / kFirstSegment, bytes);
    EXPECT_TRUE(spool.read(2));
    auto damaged = spool.read(3);
    ASSERT_FALSE(damaged);
    EXPECT_NE(damaged.error().message.find("sequence 3"), std::string::npos);
}

} // namespace
} // namespace tally
