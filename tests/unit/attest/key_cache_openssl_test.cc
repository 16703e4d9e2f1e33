#include "attest/key_cache.h"

#include "attest/dsse.h"
#include "tests/unit/support/keys.h"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>

namespace tally {
namespace {

TEST(KeyCaches, KeepTheKeysLastAskedForAndNoMore) {
    TestKeys keys({"a.example", "b.example", "c.example"});
    KeyCache cache(2);
    auto spki = [&](const std::string &host) {
        return keys.signing_key(host + ".example").verifying_key().spki();
    };
    Bytes message = to_bytes(view("message"));
    for (const std::string host : {"a", "b", "a", "c", "a", "b", "c"}) {
        auto known = cache.get(spki(host));
        ASSERT_TRUE(known) << known.error().message;
        EXPECT_EQ(known->key.spki(), spki(host));
        EXPECT_EQ(known->id, key_id(known->key));
        auto signature = keys.signing_key(host + ".example").sign(message);
        ASSERT_TRUE(signature);
        EXPECT_TRUE(known->key.verify(message, *signature)) << host;
        EXPECT_LE(cache.size(), 2U);
    }
    EXPECT_EQ(cache.size(), 2U);
    EXPECT_FALSE(cache.get(view("no key")));
    EXPECT_EQ(cache.size(), 2U);
}

TEST(KeyCaches, GiveAKeyThatManyThreadsVerifyWithAtOnce) {
    TestKeys keys({"a.example"});
    auto signing = keys.signing_key("a.example");
    KeyCache cache(1);
    auto known = cache.get(signing.verifying_key().spki());
    ASSERT_TRUE(known);
    Bytes message = to_bytes(view("message")), other = to_bytes(view("another"));
    auto signature = signing.sign(message);
    ASSERT_TRUE(signature);
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int k = 0; k < 500; ++k) {
                wrong += known->key.verify(message, *signature) ? 0 : 1;
                wrong += known->key.verify(other, *signature) ? 1 : 0;
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST(KeyCaches, ServeManyThreads) {
    TestKeys keys({"a.example", "b.example", "c.example"});
    std::vector<Bytes> spkis;
    for (const char *host : {"a.example", "b.example", "c.example"})
        spkis.push_back(keys.signing_key(host).verifying_key().spki());
    KeyCache cache(2);
    std::vector<std::thread> threads;
    std::atomic<int> wrong = 0;
    for (size_t t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (size_t i = 0; i < 500; ++i) {
                const Bytes &spki = spkis[(i * (t + 1)) % spkis.size()];
                auto known = cache.get(spki);
                if (!known || known->key.spki() != spki)
                    ++wrong;
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(cache.size(), 2U);
}

} // namespace
} // namespace tally
