#include "agent/uplink/http2.h"

#include <algorithm>
#include <array>

namespace tally {

namespace {

constexpr size_t kPrefix = 5;
constexpr size_t kOutputAim = 16 << 10;    // one TLS record
constexpr size_t kMaxHeaderText = 1 << 10; // kept of each header of interest

nghttp2_nv header(std::string_view name, std::string_view value) {
    auto bytes = [](std::string_view text) {
        return const_cast<uint8_t *>(reinterpret_cast<const uint8_t *>(text.data()));
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

// "NOT_FOUND" for "5"; the text itself if it is no status that gRPC defines.
std::string grpc_status_name(const std::string &code) {
    static constexpr std::array kNames = {"OK",
                                          "CANCELLED",
                                          "UNKNOWN",
                                          "INVALID_ARGUMENT",
                                          "DEADLINE_EXCEEDED",
                                          "NOT_FOUND",
                                          "ALREADY_EXISTS",
                                          "PERMISSION_DENIED",
                                          "RESOURCE_EXHAUSTED",
                                          "FAILED_PRECONDITION",
                                          "ABORTED",
                                          "OUT_OF_RANGE",
                                          "UNIMPLEMENTED",
                                          "INTERNAL",
                                          "UNAVAILABLE",
                                          "DATA_LOSS",
                                          "UNAUTHENTICATED"};
    auto number = parse_decimal(code);
    return number && *number < kNames.size() ? kNames[*number]
                                             : "gRPC status " + printable(code, 16);
}

} // namespace

struct GrpcCall::Callbacks {
    static int on_header(nghttp2_session *, const nghttp2_frame *frame, const uint8_t *name,
                         size_t name_size, const uint8_t *value, size_t value_size, uint8_t,
                         void *user) {
        auto *call = static_cast<GrpcCall *>(user);
        if (frame->hd.stream_id != call->stream_)
            return 0;
        std::string_view key = text({name, name_size});
        std::string kept(text({value, std::min(value_size, kMaxHeaderText)}));
        if (key == ":status")
            call->http_status_ = kept;
        else if (key == "content-type")
            call->content_type_ = kept;
        else if (key == "grpc-status")
            call->grpc_status_ = kept;
        else if (key == "grpc-message")
            call->grpc_message_ = kept;
        return 0;
    }

    static int on_data(nghttp2_session *, uint8_t, int32_t, const uint8_t *bytes, size_t size,
                       void *user) {
        auto *call = static_cast<GrpcCall *>(user);
        auto accepted = call->accept_data({bytes, size});
        if (accepted)
            return 0;
        call->complaint_ = accepted.error().message;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }

    static int on_frame(nghttp2_session *, const nghttp2_frame *frame, void *user) {
        auto *call = static_cast<GrpcCall *>(user);
        // The server's end is the call's end, though our side of the stream may still be open: on
        // that, on_stream_close would wait.
        bool carries_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
        if (carries_end && frame->hd.stream_id == call->stream_ &&
            (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
            call->close(NGHTTP2_NO_ERROR);
        if (frame->hd.type != NGHTTP2_GOAWAY)
            return 0;
        call->going_away_ = true;
        const nghttp2_goaway &goaway = frame->goaway;
        if (goaway.error_code != NGHTTP2_NO_ERROR) // gRPC says "too_many_pings" and such here
            call->complaint_ = std::string("GOAWAY ") + nghttp2_http2_strerror(goaway.error_code) +
                               " " +
                               printable(text({goaway.opaque_data, goaway.opaque_data_len}), 128);
        return 0;
    }

    static int on_stream_close(nghttp2_session *, int32_t stream, uint32_t error_code, void *user) {
        auto *call = static_cast<GrpcCall *>(user);
        if (stream == call->stream_)
            call->close(error_code);
        return 0;
    }

    static int on_error(nghttp2_session *, int, const char *message, size_t size, void *user) {
        auto *call = static_cast<GrpcCall *>(user);
        if (call->complaint_.empty())
            call->complaint_ = printable({message, size});
        return 0;
    }

    static ssize_t on_read(nghttp2_session *, int32_t, uint8_t *into, size_t room, uint32_t *flags,
                           nghttp2_data_source *, void *user) {
        auto *call = static_cast<GrpcCall *>(user);
        size_t size = std::min(room, call->unsent());
        std::copy_n(call->outgoing_.data() + call->outgoing_done_, size, into);
        call->outgoing_done_ += size;
        if (call->unsent() == 0) {
            call->outgoing_.clear();
            call->outgoing_done_ = 0;
            if (call->half_closed_)
                *flags |= NGHTTP2_DATA_FLAG_EOF;
            else if (size == 0)
                return NGHTTP2_ERR_DEFERRED; // until resume()
        }
        return static_cast<ssize_t>(size);
    }
};

GrpcCall::GrpcCall(const std::string &authority, const std::string &path) {
    nghttp2_session_callbacks *callbacks = nullptr;
    nghttp2_session *session = nullptr;
    if (nghttp2_session_callbacks_new(&callbacks) == 0) {
        nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::on_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks,
                                                               Callbacks::on_stream_close);
        nghttp2_session_callbacks_set_error_callback2(callbacks, Callbacks::on_error);
        if (nghttp2_session_client_new(&session, callbacks, this) == 0)
            session_.reset(session);
        nghttp2_session_callbacks_del(callbacks);
    }

    const std::array settings = {
        nghttp2_settings_entry{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 16 << 10},
    };
    const std::array headers = {
        header(":method", "POST"),
        header(":scheme", "https"),
        header(":path", path),
        header(":authority", authority),
        header("te", "trailers"),
        header("content-type", "application/grpc+proto"),
        header("grpc-accept-encoding", "identity"),
        header("user-agent", "tallyd/" TALLYSTICK_VERSION),
    };
    nghttp2_data_provider provider = {};
    provider.read_callback = Callbacks::on_read;
    if (session_ != nullptr &&
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) == 0)
        stream_ = nghttp2_submit_request(session, nullptr, headers.data(), headers.size(),
                                         &provider, nullptr);
    if (stream_ <= 0) // nghttp2 fails here only for want of memory
        end_ = End{false, "HTTP/2 cannot be set up: out of memory"};
}

Status GrpcCall::receive(ByteView bytes) {
    if (session_ == nullptr)
        return Error{end_->reason};
    ssize_t used = nghttp2_session_mem_recv(session_.get(), bytes.data(), bytes.size());
    if (used < 0)
        return Error{"HTTP/2: " +
                     (complaint_.empty() ? nghttp2_strerror(static_cast<int>(used)) : complaint_)};
    end_if_dead();
    return ok();
}

Status GrpcCall::accept_data(ByteView bytes) {
    // A proxy's error page is told by its HTTP status, not by what it says.
    if (http_status_ != "200" || !content_type_.starts_with("application/grpc"))
        return ok();
    append(incoming_, bytes);
    size_t done = 0;
    while (incoming_.size() - done >= kPrefix) {
        const uint8_t *at = incoming_.data() + done;
        size_t length = get_be32(at + 1);
        if (at[0] != 0)
            return Error{"a compressed message, though none was asked for"};
        if (length > kMaxMessage)
            return Error{"a message of " + std::to_string(length) + " bytes, more than " +
                         std::to_string(kMaxMessage)};
        if (incoming_.size() - done - kPrefix < length)
            break;
        messages_.emplace_back(at + kPrefix, at + kPrefix + length);
        done += kPrefix + length;
    }
    incoming_.erase(incoming_.begin(), incoming_.begin() + static_cast<ptrdiff_t>(done));
    return ok();
}

std::optional<Bytes> GrpcCall::next_message() {
    if (messages_.empty())
        return std::nullopt;
    Bytes message = std::move(messages_.front());
    messages_.pop_front();
    return message;
}

void GrpcCall::send(ByteView message) {
    outgoing_.erase(outgoing_.begin(), outgoing_.begin() + static_cast<ptrdiff_t>(outgoing_done_));
    outgoing_done_ = 0;
    outgoing_.push_back(0);
    put_be32(outgoing_, static_cast<uint32_t>(message.size()));
    append(outgoing_, message);
    resume();
}

void GrpcCall::half_close() {
    half_closed_ = true;
    resume();
}

// An error means that the stream is not waiting (it reads on by itself) or gone (end() tells).
void GrpcCall::resume() {
    if (session_ != nullptr)
        (void)nghttp2_session_resume_data(session_.get(), stream_);
}

Status GrpcCall::take_output(Bytes &out) {
    while (session_ != nullptr && out.size() < kOutputAim) {
        const uint8_t *bytes = nullptr;
        ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
        if (size < 0)
            return Error{std::string("HTTP/2: ") + nghttp2_strerror(static_cast<int>(size))};
        if (size == 0)
            break;
        append(out, {bytes, static_cast<size_t>(size)});
    }
    end_if_dead();
    return ok();
}

// nghttp2 answers a peer that breaks the protocol with GOAWAY, then wants nothing any more.
void GrpcCall::end_if_dead() {
    if (!end_ && nghttp2_session_want_read(session_.get()) == 0 &&
        nghttp2_session_want_write(session_.get()) == 0)
        end_ = End{false, "HTTP/2: " + (complaint_.empty() ? "connection over" : complaint_)};
}

void GrpcCall::close(uint32_t error_code) {
    if (end_)
        return;
    if (grpc_status_ == "0") {
        end_ = End{true, "it ended the call"};
    } else if (!grpc_status_.empty()) {
        std::string message = printable(percent_decode(grpc_message_));
        end_ = End{false, grpc_status_name(grpc_status_) + (message.empty() ? "" : ": ") + message};
    } else if (!http_status_.empty() && http_status_ != "200") {
        end_ = End{false, "HTTP status " + printable(http_status_, 16)};
    } else if (!http_status_.empty() && !content_type_.starts_with("application/grpc")) {
        end_ =
            End{false, "not a gRPC server, content-type \"" + printable(content_type_, 64) + "\""};
    } else if (!complaint_.empty()) {
        end_ = End{false, "HTTP/2: " + complaint_};
    } else if (error_code != NGHTTP2_NO_ERROR) {
        end_ =
            End{false, std::string("it reset the stream: ") + nghttp2_http2_strerror(error_code)};
    } else {
        end_ = End{false, "it ended the call without a status"};
    }
}

std::string percent_decode(std::string_view encoded) {
    auto digit = [](char c) {
        if (c >= '0' && c <= '9')
            return c - '0';
        char lower = static_cast<char>(c | 0x20);
        return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
    };
    std::string decoded;
    for (size_t i = 0; i < encoded.size(); i++) {
        bool escape = encoded[i] == '%' && i + 2 < encoded.size();
        if (escape && digit(encoded[i + 1]) >= 0 && digit(encoded[i + 2]) >= 0) {
            decoded += static_cast<char>(digit(encoded[i + 1]) << 4 | digit(encoded[i + 2]));
            i += 2;
        } else {
            decoded += encoded[i];
        }
    }
    return decoded;
}

} // namespace tally
