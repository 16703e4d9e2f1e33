#include "agent/spool/segment.h"

#include "base/crc32c.h"

namespace tally {

namespace {

// The record at `offset` if it is whole, its CRC is right and its sequence is in range.
std::optional<RecordHeader> record_at(ByteView contents, size_t offset, uint64_t least,
                                      uint64_t most) {
    if (contents.size() - offset < kRecordHeader)
        return std::nullopt;
    RecordHeader header = decode_header(contents.data() + offset);
    ByteView rest = contents.subspan(offset + kRecordHeader);
    if (header.length == 0 || header.length > kMaxPayload || header.length > rest.size() ||
        header.sequence < least || header.sequence > most ||
        !crc_matches(header, rest.first(header.length)))
        return std::nullopt;
    return header;
}

// Whether what begins at `offset` looks like a record that was being written when power went.
bool is_cut_short(ByteView contents, size_t offset) {
    size_t left = contents.size() - offset;
    if (left < kRecordHeader)
        return true;
    uint32_t length = decode_header(contents.data() + offset).length;
    return length > 0 && length <= kMaxPayload && length > left - kRecordHeader;
}

} // namespace

Bytes encode_record(uint64_t sequence, ByteView payload) {
    Bytes checked;
    checked.reserve(8 + payload.size());
    put_be64(checked, sequence);
    append(checked, payload);

    Bytes record;
    record.reserve(kRecordHeader + payload.size());
    put_be32(record, static_cast<uint32_t>(payload.size()));
    put_be32(record, crc32c(checked));
    append(record, checked);
    return record;
}

RecordHeader decode_header(const uint8_t *at) {
    return {get_be32(at), get_be32(at + 4), get_be64(at + 8)};
}

bool crc_matches(const RecordHeader &header, ByteView payload) {
    Bytes sequence;
    put_be64(sequence, header.sequence);
    return crc32c(payload, crc32c(sequence)) == header.crc;
}

Run::Run(uint64_t sequence, uint32_t offset, uint32_t record_size)
    : first(sequence), last(sequence), end(offset + record_size), marks{offset} {
}

void Run::extend(uint32_t record_size) {
    last++;
    if ((last - first) % kMarkEvery == 0)
        marks.push_back(end);
    end += record_size;
}

SegmentScan scan_segment(ByteView contents, uint64_t first) {
    SegmentScan scan;
    uint64_t expected = first;
    size_t good_until = 0; // everything before is records or damage already noted
    scan.torn = contents.size();
    for (size_t offset = 0; offset < contents.size();) {
        uint64_t room = (offset - good_until) / (kRecordHeader + 1);
        auto record = record_at(contents, offset, expected, expected + room);
        if (!record) {
            offset++;
            continue;
        }
        if (offset > good_until)
            scan.damage.push_back({good_until, offset, expected, record->sequence});
        auto size = static_cast<uint32_t>(kRecordHeader + record->length);
        if (scan.runs.empty() || scan.runs.back().end != offset)
            scan.runs.emplace_back(record->sequence, static_cast<uint32_t>(offset), size);
        else
            scan.runs.back().extend(size);
        expected = record->sequence + 1;
        offset += size;
        good_until = offset;
    }
    if (good_until < contents.size()) {
        if (is_cut_short(contents, good_until))
            scan.torn = good_until;
        else
            scan.damage.push_back({good_until, contents.size(), expected, 0});
    }
    return scan;
}

} // namespace tally
