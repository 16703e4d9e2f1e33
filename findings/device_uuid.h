// A device's UUID, which travels with it from host to host; empty where it is not known.
#pragma once

#include "attest/statement.pb.h"

#include <string>

namespace tally {

// The NVIDIA driver shows question marks before it has asked the device.
inline std::string device_uuid(const tallystick::v1::Device &device) {
    return device.uuid().find('?') == std::string::npos ? device.uuid() : std::string();
}

} // namespace tally
