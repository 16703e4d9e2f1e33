#include "agent/spool/spool.h"

#include "base/durable.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>

namespace tally {

namespace {

// pread(2) until `into` is full; false on an error or at the file's end.
bool read_exactly(int fd, std::span<uint8_t> into, uint64_t offset) {
    while (!into.empty()) {
        ssize_t got = pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        into = into.subspan(static_cast<size_t>(got));
        offset += static_cast<uint64_t>(got);
    }
    return true;
}

} // namespace

Result<Spool> Spool::open(const std::string &directory, uint64_t max_bytes,
                          uint64_t segment_bytes) {
    Spool spool;
    spool.directory_ = directory;
    spool.max_bytes_ = max_bytes;
    spool.segment_bytes_ = segment_bytes;
    TALLY_TRY(make_directories(directory, 0700));
    spool.lock_.reset(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!spool.lock_)
        return errno_error("open spool " + directory);
    if (flock(spool.lock_.get(), LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? Error{"spool " + directory + " is in use by another process"}
                                    : errno_error("lock spool " + directory);
    TALLY_TRY(spool.recover());
    return spool;
}

Status Spool::append(uint64_t sequence, ByteView attestation) {
    if (failed_)
        return Error{"spool " + directory_ + ": a write failed before; restart to recover"};
    if (attestation.empty() || attestation.size() > kMaxPayload)
        return Error{"spool " + directory_ + ": sequence " + std::to_string(sequence) + " has " +
                     std::to_string(attestation.size()) + " bytes, must be 1 to 65535"};
    if (sequence == 0 || (!segments_.empty() && sequence != last_sequence() + 1))
        return Error{"spool " + directory_ + ": sequence " + std::to_string(sequence) +
                     " does not follow " + std::to_string(last_sequence())};

    Bytes record = encode_record(sequence, attestation);
    auto size = static_cast<uint32_t>(record.size());
    bool starts = segments_.empty() || segments_.back().bytes + size > segment_bytes_;
    Status written = starts ? start_segment(sequence, record)
                            : append_durably(tail_.get(), record, path_of(segments_.back().number));
    if (!written) {
        tail_.reset();
        failed_ = true;
        return written;
    }
    if (starts) {
        segments_.push_back({sequence, size, {Run(sequence, 0, size)}});
        return ok();
    }
    Segment &segment = segments_.back();
    // Damage at the segment's end, left there by recovery, separates runs.
    if (segment.runs.back().end == segment.bytes)
        segment.runs.back().extend(size);
    else
        segment.runs.emplace_back(sequence, static_cast<uint32_t>(segment.bytes), size);
    segment.bytes += size;
    return ok();
}

// Born with its first record, so that no crash leaves an empty segment.
Status Spool::start_segment(uint64_t sequence, ByteView record) {
    std::string path = path_of(sequence);
    TALLY_TRY(replace_file(path, record, 0600));
    tail_.reset(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    return tail_ ? ok() : errno_error("open " + path);
}

Result<Bytes> Spool::read(uint64_t sequence) const {
    const Run *run = run_of(sequence);
    if (run == nullptr)
        return Error{"spool " + directory_ + " holds no sequence " + std::to_string(sequence)};
    std::string path = path_of(segment_of(sequence)->number);
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return errno_error("open " + path);

    Error damaged{"spool " + path + ": sequence " + std::to_string(sequence) +
                  " cannot be read back; restart to set the damage aside"};
    uint64_t at_mark = (sequence - run->first) / Run::kMarkEvery;
    uint64_t offset = run->marks[at_mark];
    for (uint64_t at = run->first + at_mark * Run::kMarkEvery;; at++) {
        uint8_t raw[kRecordHeader];
        if (!read_exactly(fd.get(), raw, offset))
            return damaged;
        RecordHeader header = decode_header(raw);
        if (header.sequence != at || header.length == 0 || header.length > kMaxPayload)
            return damaged;
        if (at < sequence) {
            offset += kRecordHeader + header.length;
            continue;
        }
        Bytes payload(header.length);
        if (!read_exactly(fd.get(), payload, offset + kRecordHeader) ||
            !crc_matches(header, payload))
            return damaged;
        return payload;
    }
}

Status Spool::release_up_to(uint64_t sequence) {
    // Oldest first. A deletion that a crash undoes is harmless: the collector repeats the receipt.
    while (segments_.size() > 1 && segments_.front().runs.back().last <= sequence) {
        std::string path = path_of(segments_.front().number);
        if (unlink(path.c_str()) != 0 && errno != ENOENT)
            return errno_error("delete " + path);
        segments_.erase(segments_.begin());
    }
    return ok();
}

const Spool::Segment *Spool::segment_of(uint64_t sequence) const {
    auto after = std::upper_bound(segments_.begin(), segments_.end(), sequence,
                                  [](uint64_t wanted, const Segment &segment) {
                                      return wanted < segment.runs.front().first;
                                  });
    return after == segments_.begin() ? nullptr : &*std::prev(after);
}

const Run *Spool::run_of(uint64_t sequence) const {
    const Segment *segment = segment_of(sequence);
    if (segment == nullptr)
        return nullptr;
    for (const Run &run : segment->runs)
        if (run.first <= sequence && sequence <= run.last)
            return &run;
    return nullptr;
}

bool Spool::holds(uint64_t sequence) const {
    return run_of(sequence) != nullptr;
}

uint64_t Spool::first_sequence() const {
    return segments_.empty() ? 0 : segments_.front().runs.front().first;
}

uint64_t Spool::last_sequence() const {
    return segments_.empty() ? 0 : segments_.back().runs.back().last;
}

uint64_t Spool::next_after(uint64_t sequence) const {
    if (sequence >= last_sequence())
        return 0;
    if (sequence < first_sequence())
        return first_sequence();
    const Segment *segment = segment_of(sequence);
    for (const Run &run : segment->runs)
        if (sequence < run.last)
            return std::max(sequence + 1, run.first);
    return (segment + 1)->runs.front().first;
}

bool Spool::is_full() const {
    struct statvfs disk = {};
    if (fstatvfs(lock_.get(), &disk) == 0 && disk.f_bavail * disk.f_frsize < kReserve)
        return true;
    return bytes() > max_bytes_;
}

uint64_t Spool::bytes() const {
    uint64_t total = 0;
    for (const Segment &segment : segments_)
        total += segment.bytes;
    return total;
}

std::string Spool::path_of(uint64_t number) const {
    char name[32];
    snprintf(name, sizeof(name), "/%020llu.seg", static_cast<unsigned long long>(number));
    return directory_ + name;
}

} // namespace tally
