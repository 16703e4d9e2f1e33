#include "audit/witness.h"

#include "attest/merkle.h"
#include "base/durable.h"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>

namespace tally {

namespace {

struct Request {
    uint64_t old = 0;
    std::vector<Digest> proof;
    std::string_view note;
};

Result<Request> parse(std::string_view body) {
    constexpr std::string_view kOld = "old ";
    if (body.size() > Witness::kMostRequest)
        return Error{"the request is too large"};
    std::string_view first = take_until(body, '\n');
    if (!first.starts_with(kOld))
        return Error{"the first line is not \"old SIZE\""};
    auto old = parse_decimal(first.substr(kOld.size()));
    if (!old)
        return Error{"old: " + old.error().message};
    Request request{*old, {}, {}};
    while (true) {
        if (body.empty())
            return Error{"no empty line before the checkpoint"};
        std::string_view line = take_until(body, '\n');
        if (line.empty())
            break;
        auto hash = from_base64(line);
        Digest digest{};
        if (!hash || hash->size() != digest.size())
            return Error{"a proof line is not base64 of 32 bytes"};
        if (request.proof.size() == Witness::kMostProof)
            return Error{"more than 63 proof lines"};
        std::copy(hash->begin(), hash->end(), digest.begin());
        request.proof.push_back(digest);
    }
    request.note = body;
    return request;
}

Witness::Answer plain(unsigned status, const std::string &why) {
    return {status, "text/plain; charset=utf-8", why + "\n"};
}

Status check_proof(const Request &request, const Checkpoint &last, const Checkpoint &next) {
    if (next.size == 0 && next.root != empty_root())
        return Error{"the root of the empty log is another one"};
    if (last.size > 0)
        return verify_consistency(last.size, next.size, request.proof, last.root, next.root);
    return request.proof.empty() ? ok() : Status(Error{"a proof from the empty log must be empty"});
}

} // namespace

Result<Witness> Witness::open(const std::string &directory, NoteSigner signer,
                              const std::vector<std::vector<NoteKey>> &logs) {
    auto key = witness_key(signer.name, signer.key.verifying_key());
    if (!key)
        return key.error();
    Witness witness(std::move(signer), *std::move(key));
    TALLY_TRY(make_directories(directory, 0750));
    witness.lock_ = Fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!witness.lock_)
        return errno_error("open directory " + directory);
    if (flock(witness.lock_.get(), LOCK_EX | LOCK_NB) != 0)
        return Error{directory + ": in use by another witness"};
    for (const std::vector<NoteKey> &keys : logs) {
        const std::string &origin = keys.front().name;
        if (std::any_of(keys.begin(), keys.end(),
                        [&](const NoteKey &each) { return each.name != origin; }))
            return Error{"the keys of one log must have one name"};
        Log log{keys, directory + "/" + to_hex(sha256(view(origin))), {}};
        // What is damaged must not become "nothing cosigned yet": that would cosign a fork.
        std::error_code error;
        if (std::filesystem::exists(log.path, error) || error) {
            auto note = read_text(log.path);
            auto last = note ? open_checkpoint(*note, {}) : note.error();
            if (!last)
                return Error{log.path + ": " + last.error().message};
            if (last->origin != origin)
                return Error{log.path + ": is not of log " + origin};
            log.last = *std::move(last);
        }
        if (!witness.logs_.emplace(origin, std::move(log)).second)
            return Error{"log " + origin + " is named twice"};
    }
    return witness;
}

Result<Witness::Answer> Witness::add_checkpoint(std::string_view request, uint64_t seconds) {
    auto parsed = parse(request);
    if (!parsed)
        return plain(400, parsed.error().message);
    auto claimed = open_checkpoint(parsed->note, {});
    if (!claimed)
        return plain(400, "checkpoint: " + claimed.error().message);
    auto found = logs_.find(claimed->origin);
    if (found == logs_.end())
        return plain(404, "no log " + printable(claimed->origin) + " is watched here");
    Log &log = found->second;
    auto next = open_checkpoint(parsed->note, log.keys);
    if (!next)
        return plain(403, next.error().message);
    if (parsed->old > next->size)
        return plain(400, "old is above the checkpoint's size");
    if (parsed->old != log.last.size)
        return Answer{409, "text/x.tlog.size", std::to_string(log.last.size) + "\n"};
    if (next->size == log.last.size && log.last.size > 0 && next->root != log.last.root)
        return plain(409, "another root was cosigned at this size");
    if (auto grown = check_proof(*parsed, log.last, *next); !grown)
        return plain(422, grown.error().message);

    auto line = cosign(split_note(parsed->note)->text, signer_, seconds);
    if (!line)
        return line.error();
    TALLY_TRY(replace_file(log.path, view(parsed->note), 0640));
    log.last = *std::move(next);
    return Answer{200, "text/plain; charset=utf-8", *std::move(line)};
}

std::string Witness::vkey() const {
    return to_vkey(key_);
}

} // namespace tally
