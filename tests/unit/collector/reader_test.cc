// The log that the collector writes, read by a program that shares no line with it:
// tests/reader/tally_reader.py, from the specifications alone.
#include "attest/layout.h"
#include "base/durable.h"
#include "collector/log.h"
#include "tests/unit/collector/support.h"
#include "tests/unit/support/explainer.h"

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/wait.h>

namespace tally {
namespace {

class IndependentReader : public testing::Test {
protected:
    // 2 hosts, so many statements each, appended in batches of uneven sizes.
    void fill(int each) {
        auto log = TileLog::open(directory, keys.log_signers(), 0);
        ASSERT_TRUE(log);
        std::vector<Bytes> batch;
        size_t wanted = 1;
        for (int i = 0; i < each; i++) {
            for (TestHost *host : {&gpu1, &gpu2}) {
                if (i == each / 2)
                    host->reboot();
                batch.push_back(host->attest());
                if (batch.size() < wanted)
                    continue;
                append(*log, batch);
                wanted = wanted % 97 + 30;
            }
        }
        append(*log, batch);
    }
    static void append(TileLog &log, std::vector<Bytes> &batch) {
        std::vector<ByteView> views(batch.begin(), batch.end());
        if (!views.empty()) {
            ASSERT_TRUE(log.append(views));
        }
        batch.clear();
    }
    struct Outcome {
        int status;
        std::string output;
    };
    Outcome read(const std::string &vkeys = "log.vkeys") const {
        std::string reader =
            std::filesystem::path(__FILE__).parent_path().parent_path().parent_path() /
            "reader/tally_reader.py";
        std::string command = "python3 " + reader + " " + directory + " " + keys.path(vkeys) + " " +
                              keys.path("fleet-ca.pem") + " >" + (scratch / "out") + " 2>&1";
        int status = std::system(command.c_str());
        auto output = read_text(scratch / "out");
        return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output ? *output : ""};
    }

    TestKeys keys{{"gpu1.example", "gpu2.example"}};
    TestHost gpu1 = keys.host("gpu1.example");
    TestHost gpu2 = keys.host("gpu2.example");
    Scratch scratch;
    std::string directory = scratch / "log";
};

TEST_F(IndependentReader, AgreesOnEveryHashSignatureChainAndSum) {
    fill(300);
    auto log = TileLog::open(directory, keys.log_signers(), 600);
    ASSERT_TRUE(log);
    auto root = log->root_at(600);
    ASSERT_TRUE(root);
    Outcome outcome = read();
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.output, "gpu1.example,acme,node:/dev/test0,1200000000000\n"
                              "gpu2.example,acme,node:/dev/test0,1200000000000\n"
                              "verified 600 attestations, " +
                                  to_base64(*root) + "\n");
}

TEST_F(IndependentReader, CountsOneSideOfAForkAndNoAttestationTwice) {
    fill(10);
    auto log = TileLog::open(directory, keys.log_signers(), 20);
    ASSERT_TRUE(log);
    std::vector<Bytes> other = {keys.host("gpu1.example").attest()};
    std::vector<Bytes> again = other;
    append(*log, other);
    Outcome outcome = read();
    EXPECT_EQ(outcome.status, 0) << outcome.output;
    EXPECT_TRUE(outcome.output.starts_with("gpu1.example,acme,node:/dev/test0,40000000000\n"))
        << outcome.output;
    append(*log, again);
    EXPECT_NE(read().output.find("log index 21: an attestation lies in the log twice"),
              std::string::npos);
}

TEST_F(IndependentReader, HoldsOccupancyAgainstItsHolders) {
    fill(2);
    auto log = TileLog::open(directory, keys.log_signers(), 4);
    ASSERT_TRUE(log);
    std::vector<Bytes> entries;
    for (uint64_t seconds : {4, 5, 3, 0, 10, 11}) { // held for 4 s of a window of 10 s
        pb::Statement statement = gpu1.next();
        statement.add_occupancy()->set_occupied_ns(seconds * TestHost::kSecond);
        entries.push_back(gpu1.attest(statement));
        if (seconds == 10)
            append(*log, entries);
    }
    Outcome outcome = read();
    EXPECT_EQ(outcome.status, 0);
    std::string lines;
    for (int sequence : {4, 5, 6, 7})
        lines += "not conserved: node:/dev/test0 of gpu1.example, sequence " +
                 std::to_string(sequence) + "\n";
    EXPECT_NE(outcome.output.find(",28000000000\n"), std::string::npos) << outcome.output;
    EXPECT_NE(outcome.output.find("\n" + lines + "verified 9 attestations"), std::string::npos)
        << outcome.output;
    append(*log, entries);
    EXPECT_NE(read().output.find("occupied longer than the window"), std::string::npos);
}

TEST_F(IndependentReader, ReadsExplanationsAndRefusesThoseOfAHost) {
    fill(10);
    auto log = TileLog::open(directory, keys.log_signers(), 20);
    ASSERT_TRUE(log);
    Explainer auditor(keys);
    pb::FindingName name = finding_name("gap", 7, log->entries(0).value()[7]);
    std::vector<Bytes> entries = {auditor.explain(name), auditor.explain(name, "it was not", true)};
    name.set_log_index(6);
    entries.push_back(auditor.explain(name));
    append(*log, entries);
    Outcome outcome = read();
    EXPECT_EQ(outcome.status, 0) << outcome.output;
    EXPECT_NE(
        outcome.output.find(
            "explains gap@7 of gpu2.example, sequence 4, by auditor.example: power "
            "maintenance\nwithdraws gap@7 of gpu2.example, sequence 4, by auditor.example: it "
            "was not\nexplains nothing: no such entry 6, by auditor.example\nverified 20 "
            "attestations, "),
        std::string::npos)
        << outcome.output;

    entries = {Explainer(keys, "hosts/gpu1.example/signing").explain(name)};
    append(*log, entries);
    outcome = read();
    EXPECT_EQ(outcome.status, 2);
    EXPECT_NE(outcome.output.find("log index 23: certificate is not for signing that"),
              std::string::npos)
        << outcome.output;
}

TEST_F(IndependentReader, RefusesWhatIsNeitherStatementNorExplanation) {
    fill(1);
    auto log = TileLog::open(directory, keys.log_signers(), 2);
    ASSERT_TRUE(log);
    Explainer auditor(keys);
    pb::FindingName name = finding_name("gap", 1, log->entries(0).value()[1]);
    std::vector<Bytes> entries = {auditor.sign(auditor.about(name), "application/vnd.later+json")};
    append(*log, entries);
    EXPECT_NE(read().output.find("log index 2: a payload type that this reader does not know"),
              std::string::npos);
}

TEST_F(IndependentReader, RefusesWhatWasTouched) {
    fill(150);
    ASSERT_EQ(read().status, 0);
    for (const char *name : {"checkpoint", "tile/entries/000", "tile/entries/001.p/44",
                             "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"}) {
        std::string path = directory + "/" + name;
        size_t middle = std::filesystem::file_size(path) / 2;
        flip_byte(path, middle);
        Outcome outcome = read();
        EXPECT_EQ(outcome.status, 2) << name;
        EXPECT_TRUE(outcome.output.starts_with("refused: ")) << name << ": " << outcome.output;
        flip_byte(path, middle);
    }
    EXPECT_EQ(read().status, 0);
}

} // namespace
} // namespace tally
