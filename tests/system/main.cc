// The system tests. One of them is a storm whose processes execute this very program.
#include "tests/system/storm/actor.h"

#include <gtest/gtest.h>

int main(int argc, char **argv) {
    tally::storm::act_if_executed(argc, argv);
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
