// gpu-check: what Tallystick says of a known CUDA load on a real NVIDIA GPU, beside what the load
// itself and nvidia-smi say, and what a launch costs more. Two tenants hold the first GPU at once
// and compute one after the other; the real programs record, log and audit.
//
// --stand-in runs the same on a machine without a GPU, with libraries of the driver's names that
// compute nothing: it tries this program, not the GPU.
#include "attest/rungs.h"
#include "base/durable.h"
#include "base/text.h"
#include "tests/gpu/load.h"
#include "tests/gpu/smi.h"
#include "tests/system/attested.h"
#include "tests/system/lab.h"

#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace tally {
namespace {

constexpr double kSecond = 1e9;
constexpr int kNotChecked = 2;

template <class T> class Shared {
public:
    Shared()
        : value_(new (mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                           -1, 0)) T()) {}
    ~Shared() { munmap(value_, sizeof(T)); }
    Shared(const Shared &) = delete;
    Shared &operator=(const Shared &) = delete;
    T &operator*() const { return *value_; }
    T *operator->() const { return value_; }

private:
    T *value_;
};

struct Tenant {
    std::string name;
    LoadPlan plan;
    std::string cgroup = {};
    pid_t pid = 0;
    Shared<LoadRecord> record = {};
};

struct Told {
    double held = 0, busy = 0, launches = 0;
    bool timed = false;
};

Told told_of(const Attested &attested, const std::string &cgroup, const std::string &device) {
    Told told;
    uint64_t id = cgroup_id(cgroup);
    for (const AttestedWindow &window : attested.windows) {
        for (const auto &[key, usage] : window.usage) {
            if (key.cgroup_id == id && key.device == device)
                told.held += static_cast<double>(usage.held_ns()) / kSecond;
        }
        for (const auto &[key, work] : window.work) {
            if (key.cgroup_id != id)
                continue;
            if (work.source() == "nvml" && (work.engine() == "sm" || work.engine().empty()) &&
                work.has_busy_ns()) {
                told.busy += static_cast<double>(work.busy_ns()) / kSecond;
                told.timed = true;
            }
            for (const pb::Count &count : work.counts()) {
                if (work.source() == "cuda_uprobe" && count.what() == "launches")
                    told.launches += static_cast<double>(count.count());
            }
        }
    }
    return told;
}

// The device that the driver calls so: "00000000:3B:00.0" there is "pci:0000:3b:00.0" here.
std::string device_id(const Attested &attested, std::string address) {
    for (char &letter : address)
        letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    std::string tail = address.size() > 12 ? address.substr(address.size() - 12) : address;
    for (const AttestedWindow &window : attested.windows) {
        for (const auto &[key, usage] : window.usage) {
            if (key.device.ends_with(tail))
                return key.device;
        }
    }
    return {};
}

std::string fixed(double value, const char *unit) {
    char text[48];
    std::snprintf(text, sizeof(text), "%.3f%s", value, unit);
    return text;
}

class Check {
public:
    explicit Check(bool stand_in) : stand_in_(stand_in) {}

    int run() {
        if (stand_in_) {
            setenv("TALLY_STAND_IN_DEVICE", "/dev/full", 1);
        } else {
            lab_.write("tallyd.toml", lab_.agent_config());
        }
        lab_.start_collector();
        std::string overhead = launch_cost();
        hold_and_compute();
        lab_.stop_all();
        auto attested = read_attested(lab_);
        if (!attested) {
            std::printf("gpu-check: the log does not verify: %s\n",
                        attested.error().message.c_str());
            return 1;
        }
        compare(*attested);
        std::printf("%s\n%s\n\n%s\n", table_.str().c_str(), overhead.c_str(),
                    lab_.tally({"report", lab_.log(), "--work"}).output.c_str());
        for (const auto &[name, reason] : attested->windows.front().sources)
            std::printf("source %s: %s\n", name.c_str(),
                        reason.empty() ? "at work" : reason.c_str());
        std::printf("rung %s; %s%s\n", rung_name(attested->windows.front().rung).c_str(),
                    failures_ == 0 ? "all within their limits" : "NOT WITHIN ITS LIMITS: see above",
                    stand_in_ ? "; on the stand-in, which computes nothing" : "");
        return failures_ == 0 ? 0 : 1;
    }

private:
    LoadPlan plan() const {
        LoadPlan plan;
        if (stand_in_)
            plan.library = Lab::program("tests/libcuda.so.1");
        return plan;
    }

    void fail(const std::string &what) {
        std::printf("gpu-check: %s\n", what.c_str());
        failures_++;
    }

    // Launches as fast as one thread can, in turns without and with the agent.
    std::string launch_cost() {
        double without = 0, with = 0;
        for (int turn = 0; turn < kTurns; turn++) {
            without += launch_ns("unwatched-" + std::to_string(turn));
            lab_.start_agent();
            with += launch_ns("watched-" + std::to_string(turn));
            EXPECT_EQ(lab_.agent().stop(SIGTERM), 0) << lab_.agent().output();
        }
        without /= kTurns;
        with /= kTurns;
        lab_.start_agent();
        if (with - without > kMostNs && !stand_in_)
            fail("a launch costs more than " + fixed(kMostNs / 1000, " us") + " more");
        return "a launch: " + fixed(without / 1000, " us") + " unwatched, " +
               fixed(with / 1000, " us") + " with probes, " +
               fixed((with - without) / 1000, " us") +
               " more; launches per second: " + fixed(1e9 / without, "") + " and " +
               fixed(1e9 / with, "");
    }

    double launch_ns(const std::string &name) {
        Tenant tenant{name, plan()};
        tenant.plan.launches = 200'000;
        tenant.plan.settle_ms = 2500;
        TenantProcess process = start(tenant);
        process.join();
        if (tenant.record->error[0] != '\0' || tenant.record->launches == 0) {
            fail(tenant.name + ": " + tenant.record->error);
            return 1;
        }
        return static_cast<double>(tenant.record->launching_ns) /
               static_cast<double>(tenant.record->launches);
    }

    TenantProcess start(Tenant &tenant) {
        tenant.cgroup = lab_.cgroup(tenant.name);
        LoadRecord *record = &*tenant.record;
        TenantProcess process(tenant.cgroup,
                              [plan = tenant.plan, record](Deed &) { run_load(plan, *record); });
        tenant.pid = process.pid();
        return process;
    }

    void hold_and_compute() {
        first_.plan = second_.plan = plan();
        // Half of the time busy, for 4 s; then globex alone, all of the time, for 3 s.
        first_.plan.launches = 400;
        first_.plan.kernel_us = 5000;
        first_.plan.rest_us = 5000;
        first_.plan.stay_ms = 5000;
        second_.plan.settle_ms = 9000;
        second_.plan.launches = 600;
        second_.plan.kernel_us = 5000;
        second_.plan.stay_ms = 1000;
        if (!stand_in_)
            smi_.start(lab_.path("nvidia-smi"));
        TenantProcess one = start(first_), two = start(second_);
        one.join();
        first_over_ns_ = boottime_ns();
        two.join();
        second_over_ns_ = boottime_ns();
        sleep_ms(2500); // the last samples
        smi_.stop();
    }

    void compare(const Attested &attested) {
        constexpr auto kLeft = Table::Align::kLeft;
        constexpr auto kRight = Table::Align::kRight;
        table_ = Table({kLeft, kLeft, kRight, kRight, kRight, kLeft});
        table_.add({"TENANT", "FIGURE", "THE LOAD", "TALLYSTICK", "NVIDIA-SMI", ""});
        for (const auto &[tenant, over] :
             {std::pair(&first_, first_over_ns_), std::pair(&second_, second_over_ns_)}) {
            const LoadRecord &load = *tenant->record;
            if (load.error[0] != '\0') {
                fail(tenant->name + ": " + load.error);
                continue;
            }
            std::string device = stand_in_ ? "node:stand-in" : device_id(attested, load.device);
            Told told = told_of(attested, tenant->cgroup, device);
            double least = static_cast<double>(load.end_ns - load.begin_ns) / kSecond;
            double most = static_cast<double>(over - load.before_ns) / kSecond;
            // On a rung that scans an edge may come one scan late.
            add(*tenant, "held", fixed(least, " s"), fixed(told.held, " s"), "",
                told.held >= least - 1.2 && told.held <= most + 1.2);
            add(*tenant, "launches", std::to_string(load.launches),
                std::to_string(static_cast<uint64_t>(told.launches)), "",
                told.launches == static_cast<double>(load.launches));
            double busy = static_cast<double>(load.busy_ns) / kSecond;
            auto smi = smi_.busy_seconds(tenant->pid);
            bool near = told.timed && std::abs(told.busy - busy) <= 0.2 * busy + 0.5;
            add(*tenant, "busy", fixed(busy, " s"),
                told.timed ? fixed(told.busy, " s") : "not known", smi ? fixed(*smi, " s") : "-",
                near || stand_in_);
        }
    }

    void add(const Tenant &tenant, const char *figure, const std::string &load,
             const std::string &told, const std::string &smi, bool within) {
        table_.add({tenant.name, figure, load, told, smi, within ? "" : "OUTSIDE ITS LIMIT"});
        failures_ += within ? 0 : 1;
    }

    static constexpr int kTurns = 2;
    static constexpr double kMostNs = 1500; // that a launch may cost more

    bool stand_in_;
    Lab lab_;
    NvidiaSmi smi_;
    Tenant first_{"acme", {}};
    Tenant second_{"globex", {}};
    uint64_t first_over_ns_ = 0, second_over_ns_ = 0;
    Table table_{{}};
    int failures_ = 0;
};

} // namespace
} // namespace tally

int main(int argc, char **argv) {
    using namespace tally;
    testing::InitGoogleTest(&argc, argv);
    bool stand_in = argc > 1 && std::string_view(argv[1]) == "--stand-in";
    if (!stand_in && access("/proc/driver/nvidia/version", R_OK) != 0) {
        std::fprintf(stderr, "gpu-check: there is no NVIDIA GPU with its driver on this machine "
                             "(/proc/driver/nvidia/version is missing): nothing was checked\n");
        return kNotChecked;
    }
    int status = Check(stand_in).run();
    return testing::UnitTest::GetInstance()->ad_hoc_test_result().Failed() ? 1 : status;
}
