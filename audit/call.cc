#include "audit/call.h"

#include "base/bytes.h"
#include "base/curl.h"

namespace tally {

namespace {

constexpr long kConnectSeconds = 15;
constexpr long kSeconds = 60; // until the answer: it is durable, and cosigned if that is asked for
constexpr size_t kPrefix = 5; // compressed or not, and the message's length
constexpr size_t kMostBytes = 256 << 10;

struct Answer {
    std::string body;
    std::string status; // gRPC's
    std::string message;
};

size_t take_body(char *data, size_t size, size_t count, void *answer) {
    std::string &body = static_cast<Answer *>(answer)->body;
    if (body.size() + size * count > kMostBytes)
        return 0; // curl then ends the transfer with an error
    body.append(data, size * count);
    return size * count;
}

// Of headers and trailers alike: where there is no message, the status stands in the headers.
size_t take_header(char *data, size_t size, size_t count, void *answer) {
    std::string_view line(data, size * count);
    auto take = [&](std::string_view name, std::string &value) {
        if (line.starts_with(name))
            value = line.substr(name.size(), line.find_last_not_of("\r\n ") + 1 - name.size());
    };
    take("grpc-status: ", static_cast<Answer *>(answer)->status);
    take("grpc-message: ", static_cast<Answer *>(answer)->message);
    return size * count;
}

} // namespace

Result<std::string> call_collector(const CallOptions &options, const std::string &method,
                                   const std::string &message) {
    Bytes body = {0}; // not compressed
    put_be32(body, static_cast<uint32_t>(message.size()));
    append(body, view(message));

    CurlEasy owned(curl_easy_init());
    CURL *easy = owned.get();
    CurlList headers(curl_slist_append(nullptr, "Content-Type: application/grpc"));
    curl_slist_append(headers.get(), "TE: trailers");
    Answer answer;
    char reason[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(easy, CURLOPT_URL, ("https://" + options.address + method).c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    curl_easy_setopt(easy, CURLOPT_SSLCERT, options.certificate.c_str());
    curl_easy_setopt(easy, CURLOPT_SSLKEY, options.key.c_str());
    curl_easy_setopt(easy, CURLOPT_CAINFO, options.root.c_str());
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, kSeconds);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &answer);

    std::string where = options.address + ": ";
    if (CURLcode code = curl_easy_perform(easy); code != CURLE_OK)
        return Error{where + (reason[0] != '\0' ? reason : curl_easy_strerror(code))};
    if (answer.status.empty())
        return Error{where + "does not speak gRPC: is this a collector?"};
    if (answer.status != "0")
        return Error{where + "the call failed with gRPC status " + printable(answer.status) + ": " +
                     printable(answer.message)};
    ByteView bytes = view(answer.body);
    if (bytes.size() < kPrefix || bytes[0] != 0 ||
        get_be32(bytes.data() + 1) != bytes.size() - kPrefix)
        return Error{where + "the answer is not one gRPC message"};
    return answer.body.substr(kPrefix);
}

} // namespace tally
