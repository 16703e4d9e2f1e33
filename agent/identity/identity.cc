#include "agent/identity/identity.h"

#include <algorithm>

namespace tally {

const std::string &Identity::name(const std::string &key) const {
    static const std::string kNone;
    auto found =
        std::find_if(names.begin(), names.end(), [&](const Name &each) { return each.key == key; });
    return found == names.end() ? kNone : found->value;
}

} // namespace tally
