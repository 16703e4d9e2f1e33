// Tenants that each do one thing with a device, all recorded at once on one rung, and what the log
// then says of them.
#pragma once

#include "tests/system/lab.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace tally {

class RecordedTenants {
public:
    using Row = std::map<std::string, std::string>;

    explicit RecordedTenants(const std::string &rung);

    const Deed &deed(const std::string &name) { return processes_.at(name)->deed(); }
    uint64_t agent_started() const { return agent_started_; }
    const std::map<std::string, Row> &rows() const { return rows_; }
    const Outcome &verified() const { return verified_; }

private:
    void configure();
    void start(const std::string &name, const std::function<void(Deed &)> &work);
    void open_early();
    void open_and_release();
    void share_in_a_workload();
    void pass();
    void cross_cgroups();
    void await_a_node();
    void be_killed();

    Lab lab_;
    std::map<std::string, std::string> directories_;
    std::map<std::string, std::unique_ptr<TenantProcess>> processes_;
    uint64_t agent_started_ = 0;
    Outcome verified_;
    std::map<std::string, Row> rows_;
};

} // namespace tally
