// A fleet, a log and the auditor's view of it.
#pragma once

#include "audit/account.h"
#include "tests/unit/support/keys.h"
#include "tests/unit/support/test_log.h"

#include <gtest/gtest.h>
#include <string>

namespace tally {

class Audit : public testing::Test {
protected:
    Audit();

    // Appends what the host would say next.
    void say(TestHost &host, size_t statements = 1);
    // The same, changed by `change` before it is signed.
    template <typename Change> void say_changed(TestHost &host, Change change) {
        pb::Statement statement = host.next();
        change(statement);
        log.append(host.attest(statement));
    }

    Account account(UsageSums usage = UsageSums(),
                    const Visit &also = {}) const; // of a log that verifies
    // The error of a log that does not; "verified" if it does.
    std::string problem() const;
    Status verify() const;
    Trust trust() const;

    // The `tally` program itself, over this log: exit status and standard error.
    struct Outcome {
        int status;
        std::string errors;
        std::string output;
    };
    Outcome tally(const std::string &command) const;

    std::string path(const std::string &name) const { return log.directory() + "/" + name; }
    std::vector<std::string> files() const; // all of the log's, by name

    TestKeys keys{{"gpu1.example", "gpu2.example"}};
    TestHost gpu1;
    TestHost gpu2;
    TestLog log{TestKeys::kOrigin, keys.log_signers()};
};

Bytes read_all(const std::string &path);
void write_all(const std::string &path, ByteView contents);
// Of the finding lines, kind and text: "gap: 5.000 s from ...".
std::vector<std::string> lines_of(const std::vector<Finding> &findings);

} // namespace tally
