#include "collector/named.h"

#include "collector/replay.h"

namespace tally {

std::optional<Breach> check_named(const TileLog &log, const pb::FindingName &name) {
    Breach unknown{pb::Refusal::CODE_UNKNOWN_ENTRY,
                   id_of(name) + ": the log holds no such entry of " + name.host() + ", sequence " +
                       std::to_string(name.sequence())};
    if (name.log_index() >= log.size())
        return unknown;
    auto entries = log.entries(name.log_index() / kTileWidth);
    if (!entries)
        return Breach{unknown.code, entries.error().message};
    const Bytes &entry = (*entries)[name.log_index() % kTileWidth];
    auto opened = reopen(entry);
    if (!opened || !equal(sha256(entry), view(name.entry())))
        return unknown;
    const auto *said = std::get_if<OpenedExplanation>(&*opened);
    bool named = said != nullptr
                     ? said->who == name.host() && name.sequence() == 0
                     : std::get<Opened>(*opened).statement.host() == name.host() &&
                           std::get<Opened>(*opened).statement.sequence() == name.sequence();
    return named ? std::nullopt : std::optional(unknown);
}

} // namespace tally
