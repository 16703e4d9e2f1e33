// A log that a real agent and collector wrote, and somebody who changes one byte of it: `tally
// verify` must fail and name the place, whichever byte it was.
#include "base/durable.h"
#include "tests/system/lab.h"

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

namespace tally {
namespace {

namespace fs = std::filesystem;

TEST(Tamper, AnyChangedByteIsFoundAndNamed) {
    constexpr int kFlips = 600;
    Lab lab;
    lab.start_collector();
    lab.start_agent();
    TenantProcess tenant(lab.cgroup("tenant"), [](Deed &) {
        open("/dev/full", O_RDONLY);
        sleep_ms(2500);
    });
    tenant.join();
    sleep_ms(1200);
    lab.stop_all();
    Outcome whole = lab.tally({"verify", lab.log()});
    ASSERT_LE(whole.status, 1) << whole.output;

    std::vector<std::pair<std::string, Bytes>> files;
    for (const auto &entry : fs::recursive_directory_iterator(lab.log())) {
        if (!entry.is_regular_file())
            continue;
        auto contents = read_file(entry.path().string());
        ASSERT_TRUE(contents);
        files.emplace_back(entry.path().string(), *contents);
    }
    ASSERT_GE(files.size(), 3U);

    const char *given = std::getenv("SEED");
    auto seed = given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10))
                                 : std::random_device()();
    std::printf("seed %u\n", seed);
    std::mt19937 random(seed);
    for (int flip = 0; flip < kFlips; flip++) {
        const auto &[path, contents] = files[random() % files.size()];
        size_t at = random() % contents.size();
        Bytes changed = contents;
        changed[at] ^= static_cast<uint8_t>(1U << random() % 8);
        ASSERT_TRUE(replace_file(path, changed));
        Outcome verified = lab.tally({"verify", lab.log()});
        std::string name = fs::relative(path, lab.log()).string();
        ASSERT_EQ(verified.status, 2) << name << " byte " << at << "\n" << verified.output;
        bool named = verified.output.find(name) != std::string::npos ||
                     verified.output.find("log index") != std::string::npos ||
                     verified.output.find("tile/") != std::string::npos;
        ASSERT_TRUE(named) << name << " byte " << at << "\n" << verified.output;
        ASSERT_TRUE(replace_file(path, contents));
    }
    EXPECT_LE(lab.tally({"verify", lab.log()}).status, 1);
}

} // namespace
} // namespace tally
