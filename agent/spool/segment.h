// A segment of the spool: records one after another, and how to find them again after damage.
//
//   record := length   u32  of the payload, 1 .. 65,535
//             crc      u32  CRC-32C over sequence and payload
//             sequence u64
//             payload       an attestation
//
// All integers big-endian. Records follow each other without padding, sequences one by one. This
// file is the only reader and writer of the format and touches no disk.
#pragma once

#include "base/bytes.h"

#include <optional>

namespace tally {

inline constexpr size_t kRecordHeader = 16;
inline constexpr size_t kMaxPayload = 65535;

struct RecordHeader {
    uint32_t length = 0;
    uint32_t crc = 0;
    uint64_t sequence = 0;
};

Bytes encode_record(uint64_t sequence, ByteView payload);
RecordHeader decode_header(const uint8_t *at); // kRecordHeader bytes; nothing is checked
bool crc_matches(const RecordHeader &header, ByteView payload);

// Good records without a gap in sequences or bytes. To find one, start at the mark before it and
// follow the lengths: an offset per record would cost megabytes on a host offline for weeks.
struct Run {
    static constexpr uint64_t kMarkEvery = 32;
    uint64_t first = 0;
    uint64_t last = 0;
    uint32_t end = 0;            // offset after `last`
    std::vector<uint32_t> marks; // offsets of first, first + 32, first + 64 ...

    Run(uint64_t sequence, uint32_t offset, uint32_t record_size);
    void extend(uint32_t record_size); // by the record after `last`, which lies at `end`
};

// Bytes that are no record. Between the good records around them, sequences from `expected` up to
// but without `next` are lost; next is 0 if no good record follows.
struct Damage {
    size_t begin = 0;
    size_t end = 0;
    uint64_t expected = 0;
    uint64_t next = 0;
};

struct SegmentScan {
    std::vector<Run> runs;
    std::vector<Damage> damage;
    size_t torn = 0; // offset of a last record that the file's end cuts short; else the file's size
};

// Reads a whole segment whose first record should be `first`. After damage it looks for the next
// offset with a right CRC and a sequence that can be there: no lower than expected, and no further
// up than the damaged bytes could have held records.
SegmentScan scan_segment(ByteView contents, uint64_t first);

} // namespace tally
