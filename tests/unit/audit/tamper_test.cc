// Nobody changes a log unseen: neither who can write its files, nor who can sign its checkpoint.
#include "tests/unit/audit/rig.h"

#include "attest/merkle.h"

#include <filesystem>
#include <random>
#include <sys/stat.h>

namespace tally {

namespace fs = std::filesystem;

namespace {

class Tamper : public Audit {
protected:
    // 300 entries of two hosts: a full bundle, partial ones, a tile of the second level and, from
    // earlier checkpoints, superseded partial tiles.
    void fill() {
        for (size_t size : {7, 270, 300}) {
            while (log.entries().size() < size)
                say(log.entries().size() % 3 == 0 ? gpu2 : gpu1);
            log.publish();
        }
    }

    // Whether a message names one of the log's files.
    bool names_a_place(const std::string &message, const std::vector<std::string> &names) const {
        return std::any_of(names.begin(), names.end(), [&](const std::string &name) {
            return message.starts_with(path(name) + ": ");
        });
    }
};

TEST_F(Tamper, EveryFlippedByteOfTheLogIsFoundAndItsPlaceNamed) {
    constexpr int kFlips = 500;
    fill();
    ASSERT_EQ(problem(), "verified");
    std::vector<std::string> names = files();
    ASSERT_EQ(names.size(), 10U); // nothing that is not part of this log
    unsigned seed = std::random_device()();
    RecordProperty("seed", std::to_string(seed));
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::printf("seed %u\n", seed);
    std::mt19937 random(seed);
    for (int flip = 0; flip < kFlips; flip++) {
        // File by file, so that small ones are hit as often as large ones.
        const std::string &name = names[static_cast<size_t>(flip) % names.size()];
        Bytes original = read_all(path(name));
        Bytes changed = original;
        size_t at = random() % changed.size();
        changed[at] ^= static_cast<uint8_t>(1 + random() % 255);
        write_all(path(name), changed);
        std::string found = problem();
        EXPECT_TRUE(names_a_place(found, names))
            << name << ", byte " << at << " from " << int{original[at]} << " to "
            << int{changed[at]} << ": " << found;
        if (flip % 25 == 0) {
            Outcome outcome = tally("verify " + log.directory());
            EXPECT_EQ(outcome.status, 2) << name << ", byte " << at;
            EXPECT_EQ(outcome.errors, "tally: error: " + found + "\n");
        }
        write_all(path(name), original);
    }
    EXPECT_EQ(problem(), "verified");
}

TEST_F(Tamper, EveryFlippedByteOfAnAttestationIsFoundThoughTheLogIsSignedAnew) {
    say(gpu1, 5);
    unsigned seed = std::random_device()();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::printf("seed %u\n", seed);
    std::mt19937 random(seed);
    for (int flip = 0; flip < 500; flip++) {
        size_t index = random() % log.entries().size();
        Bytes &entry = log.entries()[index];
        uint8_t &byte = entry[random() % entry.size()];
        uint8_t original = byte;
        byte ^= static_cast<uint8_t>(1 + random() % 255);
        log.publish();
        // A damaged digest shows at the next attestation, everything else at this one.
        std::string found = problem();
        EXPECT_TRUE(found.starts_with(
            path("tile/entries/000.p/5: log index " + std::to_string(index) + ": ")))
            << found;
        byte = original;
    }
    log.publish();
    EXPECT_EQ(problem(), "verified");
}

TEST_F(Tamper, AFileThatIsCutShortIsNamed) {
    fill();
    for (const std::string &name : files()) {
        Bytes original = read_all(path(name));
        for (size_t size : {size_t{0}, size_t{1}, original.size() / 2, original.size() - 1}) {
            write_all(path(name), ByteView(original).first(size));
            EXPECT_TRUE(names_a_place(problem(), files())) << name << ": " << problem();
        }
        Bytes longer = original;
        longer.push_back('\n');
        write_all(path(name), longer);
        EXPECT_TRUE(names_a_place(problem(), files())) << name << ": " << problem();
        write_all(path(name), original);
    }
    EXPECT_EQ(problem(), "verified");
}

TEST_F(Tamper, AMissingFileIsNamed) {
    fill();
    for (const char *name : {"checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1",
                             "tile/entries/000", "tile/entries/001.p/44"}) {
        Bytes original = read_all(path(name));
        fs::remove(path(name));
        EXPECT_TRUE(problem().starts_with(path(name) + ": missing")) << problem();
        write_all(path(name), original);
    }
}

TEST_F(Tamper, ASupersededPartialTileMayBeGone) {
    fill();
    fs::remove_all(path("tile/entries/000.p"));
    fs::remove_all(path("tile/0/000.p"));
    EXPECT_EQ(problem(), "verified");
}

TEST_F(Tamper, AFileThatNoLogHasIsNamed) {
    fill();
    for (const char *name : {"notes.txt", "tile/0/1", "tile/0/000.p/256", "tile/0/000.p/05",
                             "tile/64/000", "tile/entries/x000/000", ".hidden", "tile/0/000.p/x"}) {
        write_all(path(name), view("anything"));
        EXPECT_EQ(problem(), path(name) + ": not part of a log");
        fs::remove(path(name));
    }
}

TEST_F(Tamper, LinksPipesAndDeepDirectoriesAreNotFollowed) {
    fill();
    fs::create_symlink("/etc/passwd", path("tile/0/002"));
    EXPECT_EQ(problem(), path("tile/0/002") + ": is a symbolic link: copy the log with its files");
    fs::remove(path("tile/0/002"));
    fs::create_directory_symlink("/", path("root"));
    EXPECT_EQ(problem(), path("root") + ": is a symbolic link: copy the log with its files");
    fs::remove(path("root"));
    ASSERT_EQ(mkfifo(path("tile/0/002").c_str(), 0600), 0);
    EXPECT_EQ(problem(), path("tile/0/002") + ": not part of a log: not a regular file");
    fs::remove(path("tile/0/002"));
    fs::rename(path("checkpoint"), path("tile/0/002"));
    fs::create_symlink("tile/0/002", path("checkpoint"));
    EXPECT_EQ(problem(), path("checkpoint") + ": is a symbolic link: copy the log with its files");
    fs::remove(path("checkpoint"));
    ASSERT_EQ(mkfifo(path("checkpoint").c_str(), 0600), 0);
    EXPECT_EQ(problem(), path("checkpoint") + ": is not a regular file");
    fs::remove(path("checkpoint"));
    fs::rename(path("tile/0/002"), path("checkpoint"));
    std::string deep = "tile";
    for (int i = 0; i < 30; i++)
        deep += "/d";
    fs::create_directories(path(deep));
    EXPECT_NE(problem().find("not part of a log: directories are not that deep"),
              std::string::npos);
}

TEST_F(Tamper, FilesBeyondTheCheckpointAreNotedAndNotBelieved) {
    fill();
    Bytes checkpoint = read_all(path("checkpoint"));
    say(gpu1, 5);
    log.publish();
    // As a copy looks that took the checkpoint first: the tiles of its size may be gone by then.
    write_all(path("checkpoint"), checkpoint);
    fs::remove(path("tile/entries/001.p/44"));
    fs::remove(path("tile/0/001.p/44"));
    write_all(path("tile/entries/002.tmp"), view("half an en"));
    Account taken = account();
    EXPECT_EQ(taken.log.checkpoint.size, 300U);
    ASSERT_EQ(taken.log.notes.size(), 2U);
    EXPECT_TRUE(taken.log.notes[0].starts_with(
        "2 files beyond the checkpoint's 300 entries, not read: tile/"))
        << taken.log.notes[0];
    EXPECT_EQ(taken.log.notes[1], "1 file half written, not read: tile/entries/002.tmp");
}

TEST_F(Tamper, AClaimedSizeThatHasNoFilesEndsAtTheFirstMissingOne) {
    log.write_checkpoint(uint64_t{1} << 63, empty_root());
    EXPECT_EQ(problem(), path("tile/entries/000") + ": missing");
    fill();
    log.write_checkpoint(UINT64_MAX, empty_root());
    EXPECT_EQ(problem(), path("tile/entries/001") + ": missing");
}

TEST_F(Tamper, ABundleOfTheWrongCountIsNamed) {
    say(gpu1, 3);
    log.publish();
    Bytes bundle = read_all(path("tile/entries/000.p/3"));
    append_entry(bundle, {});
    write_all(path("tile/entries/000.p/3"), bundle);
    EXPECT_EQ(problem(), path("tile/entries/000.p/3") + ": has 4 entries, not 3");
    write_all(path("tile/entries/000.p/3"), Bytes(256 * 65537 + 1));
    EXPECT_NE(problem().find("at most 16777472 are possible"), std::string::npos) << problem();
}

TEST_F(Tamper, AnotherRootIsTheCheckpointsFault) {
    say(gpu1, 3);
    log.publish();
    log.write_checkpoint(3, leaf_hash(view("something else")));
    EXPECT_EQ(problem(), path("checkpoint") + ": its root is not that of the log's 3 entries");
}

TEST_F(Tamper, AnotherLogsCheckpointIsRefused) {
    TestLog foreign("example.com/other", keys.log_signers());
    say(gpu1);
    log.publish();
    foreign.publish();
    write_all(path("checkpoint"), read_all(foreign.directory() + "/checkpoint"));
    EXPECT_TRUE(problem().starts_with(path("checkpoint") + ": ")) << problem();
    TestKeys others;
    TestLog forged(TestKeys::kOrigin, others.log_signers());
    forged.publish();
    write_all(path("checkpoint"), read_all(forged.directory() + "/checkpoint"));
    EXPECT_TRUE(problem().starts_with(path("checkpoint") + ": not signed by key ")) << problem();
}

TEST_F(Tamper, ACheckpointThatLacksOneOfTheKeysIsRefused) {
    std::vector<NoteSigner> signers = keys.log_signers();
    signers.pop_back();
    TestLog one(TestKeys::kOrigin, std::move(signers));
    one.publish();
    log.publish();
    write_all(path("checkpoint"), read_all(one.directory() + "/checkpoint"));
    EXPECT_TRUE(problem().starts_with(path("checkpoint") + ": not signed by key ")) << problem();
}

} // namespace

} // namespace tally
