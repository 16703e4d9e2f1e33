#include "agent/uplink/kept_checkpoint.h"

#include "attest/receipt.h"
#include "base/durable.h"

#include <filesystem>

namespace tally {

namespace {

constexpr unsigned kMode = 0600;

std::string state(const Checkpoint &checkpoint) {
    return "size " + std::to_string(checkpoint.size) + " root " + to_base64(checkpoint.root);
}

} // namespace

KeptCheckpoint::KeptCheckpoint(std::string path, const std::string &origin, const Log &log)
    : path_(std::move(path)) {
    std::error_code error;
    if (!std::filesystem::exists(path_, error) && !error)
        return;
    auto note = read_text(path_);
    // Verified when it was kept; the log's keys may have been rotated since.
    auto kept = note ? open_checkpoint(*note, {}) : note.error();
    if (!kept)
        log.warning("kept checkpoint " + path_ + ": " + kept.error().message +
                    "; the next one is taken on trust");
    else if (kept->origin != origin)
        log.notice("kept checkpoint " + path_ + " is of log " + printable(kept->origin) + "; log " +
                   origin + " starts anew");
    else
        kept_ = *std::move(kept);
}

std::optional<KeptCheckpoint::Fault> KeptCheckpoint::extend(const Checkpoint &next,
                                                            const pb::Receipt &receipt) {
    if (auto extends = check_extends(receipt, kept_, next); !extends) {
        std::string refused = path_ + ".refused";
        std::error_code error;
        if (!std::filesystem::exists(refused, error))
            (void)replace_file(refused, view(receipt.checkpoint()), kMode); // evidence, not state
        return Fault{
            true,
            "its checkpoint does not extend the log of size " + std::to_string(kept_.size) +
                " that this host has verified (" + extends.error().message + ")",
            "held " + state(kept_) + ", shown " + state(next) + ": " + extends.error().message};
    }
    if (next.size == kept_.size && kept_.size > 0)
        return std::nullopt;
    if (auto written = replace_file(path_, view(receipt.checkpoint()), kMode); !written)
        return Fault{false, written.error().message, ""};
    kept_ = next;
    return std::nullopt;
}

} // namespace tally
