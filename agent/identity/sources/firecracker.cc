// Firecracker: the jailer's --id from the cgroup path (firecracker docs/jailer.md; src/jailer/src/
// cgroup.rs). The jailer writes nothing on disk that says whose the machine is.
//
//   /EXEC_FILE/ID       --cgroup-version 2; the executable's file name must contain "firecracker",
//                       such as firecracker-v1.7.0-x86_64; ID: letters, digits, "-", at most 64
//   /PARENT/ID          --parent-cgroup PARENT: "firecracker:/PARENT"
#include "agent/identity/sources/sources.h"

#include <algorithm>
#include <cctype>

namespace tally {

namespace {

bool is_jail_id(const std::string &text) {
    return !text.empty() && text.size() <= 64 &&
           std::all_of(text.begin(), text.end(),
                       [](unsigned char c) { return std::isalnum(c) != 0 || c == '-'; });
}

class Firecracker : public Source {
public:
    explicit Firecracker(std::string parent) : parent_(std::move(parent)) {}
    const char *name() const override { return "firecracker"; }

    std::optional<Identity> identify(const Subject &subject, const HostFiles &) const override {
        auto parts = parts_below(subject.cgroup_path, parent_);
        if (parts && parent_.empty() && !parts->empty()) {
            const std::string &executable = parts->front();
            if (executable.find("firecracker") == std::string::npos ||
                executable.ends_with(".slice"))
                return std::nullopt;
            parts->erase(parts->begin());
        }
        if (!parts || parts->empty() || !is_jail_id(parts->front()))
            return std::nullopt;
        Identity identity{.source = name(), .names = {}, .origins = {}};
        add_name(identity, "firecracker.id", parts->front());
        return identity;
    }

private:
    std::string parent_;
};

} // namespace

std::unique_ptr<Source> firecracker_source(const std::string &root) {
    return std::make_unique<Firecracker>(root);
}

} // namespace tally
