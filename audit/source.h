// Where an auditor's copy of a log is read from: a directory, whoever filled it. Nothing below it
// is trusted: symbolic links are not followed, devices and pipes not opened, sizes are bounded.
#pragma once

#include "attest/layout.h"
#include "base/bytes.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tally {

class Source {
public:
    static Result<Source> open(const std::string &directory);

    // A regular file's bytes, or nothing if there is none of that name. `name` is relative.
    Result<std::optional<Bytes>> read(const std::string &name, size_t limit) const;

    // A tile's file or, if only that is there, a wider one of the same index, as clients of a log
    // that grows do (C2SP tlog-tiles, "Partial Tiles"). The error names a missing file.
    struct TileFile {
        Tile tile; // the one found
        Bytes bytes;
    };
    Result<TileFile> read_tile(const Tile &tile) const;
    // The widths of all partial tiles at this level and index, ascending.
    std::vector<unsigned> partial_widths(const Tile &tile) const;

    // Calls `visit` with the name of every file; an error for what is neither file nor directory,
    // and for directories deeper than a log's.
    Status for_each_file(const std::function<Status(const std::string &name)> &visit) const;

    Error error(const std::string &name, const std::string &message) const; // "LOG/NAME: MESSAGE"

private:
    explicit Source(std::string directory) : directory_(std::move(directory)) {}

    std::string directory_;
};

} // namespace tally
