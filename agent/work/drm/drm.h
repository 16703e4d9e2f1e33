// DRM devices, as far as sources of work evidence tell them.
#pragma once

#include "agent/record/devices.h"

#include <algorithm>

namespace tally {

// include/drm/drm_file.h: DRM_MAJOR; include/drm/drm_accel.h: ACCEL_MAJOR.
inline bool is_drm(const Device &device) {
    return std::any_of(device.nodes.begin(), device.nodes.end(), [](const DeviceNode &node) {
        return node.major == 226 || node.major == 261;
    });
}

} // namespace tally
