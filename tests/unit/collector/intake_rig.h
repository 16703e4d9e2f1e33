// A collector with an empty log, and a host with a stream to it.
#pragma once

#include "tests/unit/collector/support.h"

#include <gtest/gtest.h>

namespace tally {

class IntakeTest : public testing::Test {
protected:
    TestKeys keys_{{kHost, "host2.example"}};
    std::vector<NoteKey> log_keys_ = keys_.log_keys();
    Scratch scratch_;
    TestCollector collector_{keys_, scratch_ / "state"};
    TestHost host_ = keys_.host(kHost);
    TestStream stream_{collector_.port(), keys_};

    std::vector<Bytes> logged() {
        collector_.stop();
        return log_entries(keys_, scratch_ / "state/log");
    }
};

} // namespace tally
