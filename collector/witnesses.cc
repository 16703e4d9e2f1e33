#include "collector/witnesses.h"

#include "base/curl.h"

#include <algorithm>
#include <chrono>

namespace tally {

namespace {

constexpr size_t kMostAnswer = 8 << 10;

uint64_t now_ns() {
    return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

size_t take(char *data, size_t size, size_t count, void *answer) {
    auto &text = *static_cast<std::string *>(answer);
    if (text.size() + size * count > kMostAnswer)
        return 0; // curl then ends the transfer with an error
    text.append(data, size * count);
    return size * count;
}

std::string request_body(uint64_t old, const std::vector<Digest> &proof, const std::string &note) {
    std::string body = "old " + std::to_string(old) + "\n";
    for (const Digest &hash : proof)
        body += to_base64(hash) + "\n";
    return body + "\n" + note;
}

} // namespace

struct Witnesses::One {
    explicit One(WitnessAddress where) : address(std::move(where)) {}

    WitnessAddress address;
    CurlEasy easy;    // kept, and with it the connection
    uint64_t old = 0; // what it cosigned last, as far as we know
    uint64_t not_before_ns = 0;
    uint64_t pause_ns = kLeastPause;
    std::string complaint; // said
    // One exchange.
    std::string body;
    std::string answer;
    CURLcode outcome = CURLE_OK;
    long status = 0;
};

Witnesses::Witnesses(std::vector<WitnessAddress> addresses, size_t needed, const Log &lines)
    : needed_(needed), lines_(lines) {
    for (WitnessAddress &address : addresses) {
        auto one = std::make_unique<One>(std::move(address));
        one->easy.reset(curl_easy_init());
        CURL *easy = one->easy.get();
        curl_easy_setopt(easy, CURLOPT_URL, (one->address.url + "/add-checkpoint").c_str());
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, kTimeoutMs);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &one->answer);
        curl_easy_setopt(easy, CURLOPT_PRIVATE, one.get());
        witnesses_.push_back(std::move(one));
    }
}

Witnesses::~Witnesses() = default;

bool Witnesses::has(const One &one, const std::string &note) const {
    return count_cosignatures(note, {one.address.key}) == 1;
}

bool Witnesses::enough(const std::string &note) const {
    size_t found = 0;
    for (const auto &one : witnesses_)
        found += has(*one, note) ? 1 : 0;
    return found >= needed_;
}

bool Witnesses::complete(const std::string &note) const {
    for (const auto &one : witnesses_) {
        if (!has(*one, note))
            return false;
    }
    return true;
}

std::string Witnesses::cosignatures(const std::string &note, uint64_t size, const Prove &prove) {
    std::vector<One *> asked;
    for (auto &one : witnesses_) {
        if (now_ns() >= one->not_before_ns && !has(*one, note))
            asked.push_back(one.get());
    }
    auto split = split_note(note);
    std::string lines;
    // The second time those that had cosigned another size than we thought.
    for (int round = 0; round < 2 && !asked.empty() && split; ++round) {
        ask(asked, note, prove);
        std::vector<One *> again;
        for (One *one : asked) {
            std::string_view answer = one->answer;
            if (one->outcome != CURLE_OK) {
                complain(*one, curl_easy_strerror(one->outcome));
            } else if (auto old = parse_decimal(answer.substr(0, answer.find('\n')));
                       one->status == 409 && old && *old <= size && *old != one->old) {
                one->old = *old;
                again.push_back(one);
            } else if (one->status != 200) {
                complain(*one, "status " + std::to_string(one->status) + ": " +
                                   printable(answer.substr(0, answer.find('\n'))));
            } else {
                bool found = false;
                while (!answer.empty() && !found) {
                    std::string line(take_until(answer, '\n'));
                    auto good = check_cosignature(split->text, line, one->address.key);
                    found = good && *good;
                    if (found)
                        lines += line + "\n";
                }
                if (!found) {
                    complain(*one, "it answered without a good cosignature of its key");
                    continue;
                }
                one->old = size;
                if (!one->complaint.empty())
                    lines_.notice("witness " + one->address.key.name + ": cosigns again");
                one->complaint.clear();
                one->pause_ns = kLeastPause;
            }
        }
        asked = std::move(again);
    }
    for (One *one : asked)
        complain(*one, "it does not say what it cosigned last");
    return lines;
}

// Exchanges with all of them at once.
void Witnesses::ask(std::vector<One *> &asked, const std::string &note, const Prove &prove) {
    CurlMulti multi(curl_multi_init());
    for (One *one : asked) {
        std::vector<Digest> proof;
        if (one->old > 0) {
            auto made = prove(one->old);
            if (made)
                proof = *std::move(made);
        }
        one->body = request_body(one->old, proof, note);
        one->answer.clear();
        one->outcome = CURLE_OPERATION_TIMEDOUT;
        curl_easy_setopt(one->easy.get(), CURLOPT_POSTFIELDS, one->body.c_str());
        curl_easy_setopt(one->easy.get(), CURLOPT_POSTFIELDSIZE,
                         static_cast<long>(one->body.size()));
        curl_multi_add_handle(multi.get(), one->easy.get());
    }
    for (int running = 1; running > 0;) {
        if (curl_multi_perform(multi.get(), &running) != CURLM_OK)
            break;
        int left = 0;
        while (CURLMsg *message = curl_multi_info_read(multi.get(), &left)) {
            One *one = nullptr;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &one);
            one->outcome = message->data.result;
            curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &one->status);
        }
        if (running > 0)
            curl_multi_poll(multi.get(), nullptr, 0, 1000, nullptr);
    }
    for (One *one : asked)
        curl_multi_remove_handle(multi.get(), one->easy.get());
}

void Witnesses::complain(One &one, const std::string &reason) {
    one.not_before_ns = now_ns() + one.pause_ns;
    one.pause_ns = std::min(2 * one.pause_ns, kMostPause);
    if (one.complaint != reason)
        lines_.warning("witness " + one.address.key.name + " (" + one.address.url +
                       ") does not cosign: " + reason);
    one.complaint = reason;
}

} // namespace tally
