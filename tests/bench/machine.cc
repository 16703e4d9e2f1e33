#include "tests/bench/machine.h"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace tally {

double environment(const char *name, double otherwise) {
    const char *value = std::getenv(name);
    return value != nullptr ? std::atof(value) : otherwise;
}

double openssl_rate(unsigned processes, const std::string &cpus) {
    std::string command = (cpus.empty() ? "" : "taskset -c " + cpus + " ") +
                          "openssl speed -seconds 2 -multi " + std::to_string(processes) +
                          " ecdsap256 2>/dev/null";
    FILE *pipe = popen(command.c_str(), "r");
    std::array<char, 512> line{};
    double signs = 0, verifies = 0, sign_time = 0, verify_time = 0;
    while (pipe != nullptr && std::fgets(line.data(), line.size(), pipe) != nullptr)
        std::sscanf(line.data(), " 256 bits ecdsa (nistp256) %lfs %lfs %lf %lf", &sign_time,
                    &verify_time, &signs, &verifies);
    if (pipe != nullptr)
        pclose(pipe);
    return verifies;
}

namespace {

void verdict(const char *what, double value, double limit, bool met) {
    std::printf("%-66s %8.3f of %.3f  %s\n", what, value, limit, met ? "met" : "NOT MET");
}

} // namespace

void verdict_at_most(const char *what, double value, double limit) {
    verdict(what, value, limit, value <= limit);
}

void verdict_at_least(const char *what, double value, double limit) {
    verdict(what, value, limit, value >= limit);
}

} // namespace tally
