// Spool::recover and what belongs to it: ordinary start-up, whatever was before.
#include "agent/spool/spool.h"
#include "base/durable.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>

namespace tally {

namespace {

constexpr size_t kNameDigits = 20;
constexpr std::string_view kSuffix = ".seg";
constexpr size_t kPage = 4096;

// The first sequences that the directory's segments are named after, in order. Removes segments
// that a crash left half made.
Result<std::vector<uint64_t>> list_segments(const std::string &directory) {
    std::unique_ptr<DIR, int (*)(DIR *)> listing(opendir(directory.c_str()), closedir);
    if (!listing)
        return errno_error("list spool " + directory);
    std::vector<uint64_t> numbers;
    while (const dirent *entry = readdir(listing.get())) {
        std::string_view name = entry->d_name;
        std::string_view ending = name.substr(std::min(kNameDigits, name.size()));
        std::string_view digits = name.substr(0, kNameDigits);
        digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
        auto number = parse_decimal(digits);
        if (!number)
            continue;
        if (ending == kSuffix)
            numbers.push_back(*number);
        else if (ending == ".seg.tmp" && unlink((directory + "/" + entry->d_name).c_str()) != 0)
            return errno_error("delete " + directory + "/" + entry->d_name);
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

// A segment's bytes, with zeros for pages the device cannot read: to the scan they are damage.
Result<Bytes> read_segment(int fd, const std::string &path) {
    struct stat found = {};
    if (fstat(fd, &found) != 0)
        return errno_error("stat " + path);
    if (!S_ISREG(found.st_mode) || found.st_size > INT32_MAX)
        return Error{"spool " + path + " is no segment: move it out of the way"};
    Bytes contents(static_cast<size_t>(found.st_size));
    for (size_t at = 0; at < contents.size();) {
        size_t page_left = std::min(kPage - at % kPage, contents.size() - at);
        ssize_t got = pread(fd, contents.data() + at, contents.size() - at, static_cast<off_t>(at));
        if (got < 0 && errno == EIO)
            got = pread(fd, contents.data() + at, page_left, static_cast<off_t>(at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno != EIO)
            return errno_error("read " + path);
        at += got > 0 ? static_cast<size_t>(got) : page_left;
    }
    return contents;
}

std::string lost_sequences(const Damage &damage) {
    std::string from = std::to_string(damage.expected);
    if (damage.next == 0)
        return "sequence " + from + " and what may have followed is lost";
    if (damage.next <= damage.expected)
        return "no sequence is lost";
    if (damage.next == damage.expected + 1)
        return "sequence " + from + " is lost";
    return "sequences " + from + " to " + std::to_string(damage.next - 1) + " are lost";
}

// The first name of the form PATH.damaged-N that is free, or has `bytes` already.
struct Aside {
    std::string path;
    bool known = false;
};
Aside place_aside(const std::string &path, ByteView bytes) {
    for (int n = 1;; n++) {
        std::string candidate = path + ".damaged-" + std::to_string(n);
        if (access(candidate.c_str(), F_OK) != 0)
            return {candidate, false};
        auto there = read_file(candidate);
        if (there && equal(*there, bytes))
            return {candidate, true};
    }
}

} // namespace

Status Spool::recover() {
    auto numbers = list_segments(directory_);
    if (!numbers)
        return numbers.error();
    for (size_t i = 0; i < numbers->size(); i++) {
        uint64_t number = (*numbers)[i];
        uint64_t expected = segments_.empty() ? number : last_sequence() + 1;
        uint64_t next_number = i + 1 < numbers->size() ? (*numbers)[i + 1] : 0;
        TALLY_TRY(recover_segment(number, expected, next_number));
    }
    if (segments_.empty())
        return ok();
    std::string path = path_of(segments_.back().number);
    tail_.reset(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    return tail_ ? ok() : errno_error("open " + path);
}

// `expected`: the sequence after the last good record so far; `next_number`: 0 for the last
// segment.
Status Spool::recover_segment(uint64_t number, uint64_t expected, uint64_t next_number) {
    std::string path = path_of(number);
    Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd)
        return errno_error("open " + path);
    auto contents = read_segment(fd.get(), path);
    if (!contents)
        return contents.error();

    bool hole = number > expected;
    if (hole && segments_.back().runs.back().end == segments_.back().bytes)
        damage_.push_back("spool " + path + ": before it, " +
                          lost_sequences({0, 0, expected, number}));
    SegmentScan scan = scan_segment(*contents, std::max(number, expected));
    if (scan.runs.empty()) {
        std::string aside = place_aside(path, *contents).path;
        if (rename(path.c_str(), aside.c_str()) != 0)
            return errno_error("rename " + path + " to " + aside);
        damage_.push_back("spool " + path + ": no good record in " +
                          std::to_string(contents->size()) + " bytes, " +
                          lost_sequences({0, 0, number, next_number}) + "; set aside as " + aside);
        return sync_directory(directory_);
    }

    if (next_number == 0 && scan.torn < contents->size()) {
        if (ftruncate(fd.get(), static_cast<off_t>(scan.torn)) != 0 || fdatasync(fd.get()) != 0)
            return errno_error("truncate " + path);
        torn_bytes_ = contents->size() - scan.torn;
        contents->resize(scan.torn);
    } else if (scan.torn < contents->size()) {
        scan.damage.push_back({scan.torn, contents->size(), scan.runs.back().last + 1, 0});
    }
    if (!scan.damage.empty() && scan.damage.back().next == 0)
        scan.damage.back().next = next_number;
    for (const Damage &damage : scan.damage)
        set_aside(path, *contents, damage);
    segments_.push_back({number, contents->size(), std::move(scan.runs)});
    return ok();
}

// Never an error: a full disk must not keep the agent from recording.
void Spool::set_aside(const std::string &path, ByteView contents, const Damage &damage) {
    ByteView bytes = contents.subspan(damage.begin, damage.end - damage.begin);
    Aside aside = place_aside(path, bytes);
    if (aside.known)
        return;
    auto copied = replace_file(aside.path, bytes, 0600);
    damage_.push_back(
        "spool " + path + ": bytes " + std::to_string(damage.begin) + " to " +
        std::to_string(damage.end - 1) + " are damaged, " + lost_sequences(damage) + "; " +
        (copied ? "copied to " + aside.path : "left in place: " + copied.error().message));
}

} // namespace tally
