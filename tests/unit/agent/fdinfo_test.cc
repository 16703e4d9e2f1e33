// What DRM drivers print in fdinfo, as their documentation and captures have it, and what no driver
// should print.
#include "agent/work/drm/fdinfo.h"

#include <gtest/gtest.h>
#include <random>

namespace tally {
namespace {

TEST(Fdinfo, OfI915) { // proc_pid_fdinfo(5), "Direct Rendering Manager"
    Fdinfo info = parse_fdinfo("pos: 0\nflags: 02100002\nmnt_id: 26\nino: 284\n"
                               "drm-driver: i915\ndrm-client-id: 39\ndrm-pdev: 0000:00:02.0\n"
                               "drm-total-system0: 6044 KiB\ndrm-shared-system0: 0\n"
                               "drm-active-system0: 0\ndrm-resident-system0: 6044 KiB\n"
                               "drm-purgeable-system0: 1688 KiB\ndrm-total-stolen-system0: 0\n"
                               "drm-resident-stolen-system0: 0\n"
                               "drm-engine-render: 346249 ns\ndrm-engine-copy: 0 ns\n"
                               "drm-engine-video: 0 ns\ndrm-engine-capacity-video: 2\n"
                               "drm-engine-video-enhance: 0 ns\n");
    EXPECT_EQ(info.driver, "i915");
    EXPECT_EQ(info.pdev, "0000:00:02.0");
    EXPECT_EQ(info.client, 39U);
    EXPECT_EQ(info.memory_bytes, 6044U << 10);
    ASSERT_EQ(info.engines.size(), 4U);
    EXPECT_EQ(info.engines["render"].busy_ns, 346249U);
    EXPECT_FALSE(info.engines["render"].capacity);
    EXPECT_EQ(info.engines["video"].capacity, 2U);
    EXPECT_EQ(info.engines["video-enhance"].busy_ns, 0U);
}

TEST(Fdinfo, OfXe) { // drivers/gpu/drm/xe/xe_drm_client.c, "DRM Client usage stats"
    Fdinfo info = parse_fdinfo(
        "pos:\t0\nflags:\t0100002\nmnt_id:\t26\nino:\t685\ndrm-driver:\txe\ndrm-client-id:\t3\n"
        "drm-pdev:\t0000:03:00.0\ndrm-total-system:\t0\ndrm-shared-system:\t0\n"
        "drm-resident-system:\t0\ndrm-total-gtt:\t192 KiB\ndrm-resident-gtt:\t192 KiB\n"
        "drm-total-vram0:\t23992 KiB\ndrm-shared-vram0:\t16 MiB\ndrm-active-vram0:\t0\n"
        "drm-resident-vram0:\t23992 KiB\ndrm-cycles-rcs:\t28257900\n"
        "drm-total-cycles-rcs:\t7655183225\ndrm-cycles-ccs:\t0\n"
        "drm-total-cycles-ccs:\t7655183225\ndrm-engine-capacity-ccs:\t4\n");
    EXPECT_EQ(info.memory_bytes, (192U + 23992U) << 10) << "cycles in total are no memory";
    ASSERT_EQ(info.engines.size(), 2U);
    EXPECT_EQ(info.engines["rcs"].cycles, 28257900U);
    EXPECT_EQ(info.engines["rcs"].total_cycles, 7655183225U);
    EXPECT_FALSE(info.engines["rcs"].busy_ns);
    EXPECT_EQ(info.engines["ccs"].capacity, 4U);
}

TEST(Fdinfo, OfAmdgpu) { // Umio-Yasuno/amdgpu_top issue 87; amdgpu_fdinfo.c
    Fdinfo info = parse_fdinfo("pos:\t0\nflags:\t02104002\nmnt_id:\t24\nino:\t614\npasid:\t32784\n"
                               "drm-driver:\tamdgpu\ndrm-pdev:\t0000:08:00.0\ndrm-client-id:\t217\n"
                               "drm-memory-vram:\t2068 KiB\ndrm-memory-gtt: \t8192 KiB\n"
                               "drm-memory-cpu: \t0 KiB\namd-memory-visible-vram:\t2068 KiB\n"
                               "drm-engine-gfx:\t107322799 ns\n");
    EXPECT_EQ(info.client, 217U);
    EXPECT_EQ(info.memory_bytes, (2068U + 8192U) << 10);
    EXPECT_EQ(info.engines["gfx"].busy_ns, 107322799U);
}

TEST(Fdinfo, OfPanfrost) { // Documentation/gpu/panfrost.rst
    Fdinfo info = parse_fdinfo("drm-driver:\tpanfrost\ndrm-client-id:\t14\n"
                               "drm-engine-fragment:\t1846584880 ns\n"
                               "drm-cycles-fragment:\t1424359409\n"
                               "drm-maxfreq-fragment:\t799999987 Hz\n"
                               "drm-curfreq-fragment:\t799999987 Hz\n"
                               "drm-engine-vertex-tiler:\t71932239 ns\n"
                               "drm-cycles-vertex-tiler:\t52617357\n"
                               "drm-total-memory:\t290 MiB\ndrm-resident-memory:\t36496 KiB\n");
    EXPECT_EQ(info.pdev, "") << "no PCI device";
    ASSERT_EQ(info.engines.size(), 2U);
    EXPECT_EQ(info.engines["fragment"].busy_ns, 1846584880U);
    EXPECT_EQ(info.engines["vertex-tiler"].busy_ns, 71932239U);
    EXPECT_EQ(info.memory_bytes, 36496U << 10);
}

TEST(Fdinfo, WhatIsNotAsDocumentedIsPassedOver) {
    Fdinfo info = parse_fdinfo("drm-engine-gfx: 5\ndrm-engine-a: 5 ms\ndrm-engine-b: -5 ns\n"
                               "drm-engine-c: 18446744073709551616 ns\ndrm-engine-: 5 ns\n"
                               "drm-engine-d: 7 ns\ndrm-engine-d: 9 ns\n"
                               "drm-engine-capacity-d: 0\ndrm-client-id: 0x7\n"
                               "drm-resident-vram: 18014398509481984 KiB\n"
                               "drm-resident-gtt: 5 GB\ndrm-total-gtt: 3 MiB\n"
                               "drm-total-a: 18446744073709551615\n:\n\n:5\nno colon");
    EXPECT_FALSE(info.client);
    ASSERT_EQ(info.engines.size(), 1U);
    EXPECT_EQ(info.engines["d"].busy_ns, 7U) << "as it stood first";
    EXPECT_FALSE(info.engines["d"].capacity) << "zero is not allowed";
    EXPECT_EQ(info.memory_bytes, UINT64_MAX) << "a sum does not wrap";
    EXPECT_EQ(parse_fdinfo("").driver, "");
}

TEST(Fdinfo, NamesWithoutEndAreCut) {
    std::string many;
    for (int i = 0; i < 5000; i++)
        many +=
            "drm-engine-" + std::to_string(i) + ": 1 ns\ndrm-total-" + std::to_string(i) + ": 1\n";
    Fdinfo info = parse_fdinfo(many + "drm-engine-" + std::string(1000, 'x') + ": 1 ns\n");
    EXPECT_EQ(info.engines.size(), 64U);
    EXPECT_EQ(info.memory_bytes, 64U);
}

TEST(Fdinfo, NoBytesBreakIt) {
    const std::vector<std::string> words = {"drm-engine-", "drm-engine-capacity-",
                                            "drm-cycles-", "drm-total-cycles-",
                                            "drm-total-",  "drm-resident-",
                                            "drm-memory-", "drm-client-id",
                                            "drm-pdev",    ":",
                                            ":\t",         "\n",
                                            " ns",         " KiB",
                                            " MiB",        "18446744073709551615",
                                            "0",           "-1",
                                            "gfx",         std::string(1, '\0'),
                                            "\xff"};
    std::mt19937_64 random(6);
    for (int i = 0; i < 20000; i++) {
        std::string contents;
        for (uint64_t length = random() % 40; contents.size() < length;)
            contents += random() % 4 == 0 ? std::string(1, static_cast<char>(random()))
                                          : words[random() % words.size()];
        Fdinfo info = parse_fdinfo(contents);
        EXPECT_LE(info.engines.size(), 64U);
        for (const auto &[name, use] : info.engines)
            EXPECT_TRUE(!name.empty() && use.capacity.value_or(1) > 0) << contents;
    }
}

} // namespace
} // namespace tally
