// Stands where NVIDIA's driver would, until it is killed: /dev/nvidia0 and /dev/nvidiactl, by CUSE.
#include "tests/system/fake_driver.h"

#include <unistd.h>

int main() {
    tally::FakeDriver gpu("nvidia0", 195, 0, tally::answer_as_nvidia);
    tally::FakeDriver control("nvidiactl", 195, 255, tally::answer_as_nvidia);
    pause();
    return 0;
}
