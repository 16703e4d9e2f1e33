// The gRPC call against nghttp2's own server side, in memory.
#include "agent/uplink/http2.h"

#include <array>
#include <gtest/gtest.h>
#include <random>

namespace tally {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

// One server connection; answers what the test tells it to.
class Peer {
public:
    Peer() {
        nghttp2_session_callbacks *callbacks = nullptr;
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_server_new(&session, callbacks, this);
        nghttp2_session_callbacks_del(callbacks);
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, nullptr, 0);
    }
    ~Peer() { nghttp2_session_del(session); }
    Peer(const Peer &) = delete;
    Peer &operator=(const Peer &) = delete;

    Bytes output() {
        Bytes out;
        const uint8_t *bytes = nullptr;
        for (;;) {
            ssize_t size = nghttp2_session_mem_send(session, &bytes);
            if (size <= 0)
                return out;
            append(out, {bytes, static_cast<size_t>(size)});
        }
    }
    void receive(ByteView bytes) {
        EXPECT_EQ(nghttp2_session_mem_recv(session, bytes.data(), bytes.size()),
                  static_cast<ssize_t>(bytes.size()));
    }

    // Response headers, then `body` in DATA, then `trailers`; a null part is left out.
    void respond(const Headers &headers, const std::string *body, const Headers *trailers) {
        body_ = body == nullptr ? "" : *body;
        trailers_ = trailers == nullptr ? Headers() : *trailers;
        has_trailers_ = trailers != nullptr;
        body_done_ = 0;
        auto fields = to_nv(headers);
        nghttp2_data_provider provider = {};
        provider.source.ptr = this;
        provider.read_callback = on_read;
        bool more = body != nullptr || trailers != nullptr;
        nghttp2_submit_response(session, 1, fields.data(), fields.size(),
                                more ? &provider : nullptr);
    }

    nghttp2_session *session = nullptr;
    Headers request;
    Bytes received; // DATA
    bool ended = false;

private:
    static std::vector<nghttp2_nv> to_nv(const Headers &headers) {
        std::vector<nghttp2_nv> fields;
        auto raw = [](const std::string &text) {
            return const_cast<uint8_t *>(reinterpret_cast<const uint8_t *>(text.data()));
        };
        for (const auto &[name, value] : headers)
            fields.push_back({raw(name), raw(value), name.size(), value.size(), 0});
        return fields;
    }
    static int on_header(nghttp2_session *, const nghttp2_frame *, const uint8_t *name, size_t n,
                         const uint8_t *value, size_t v, uint8_t, void *self) {
        static_cast<Peer *>(self)->request.emplace_back(text({name, n}), text({value, v}));
        return 0;
    }
    static int on_data(nghttp2_session *, uint8_t, int32_t, const uint8_t *bytes, size_t size,
                       void *self) {
        append(static_cast<Peer *>(self)->received, {bytes, size});
        return 0;
    }
    static int on_frame(nghttp2_session *, const nghttp2_frame *frame, void *self) {
        bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        if (frame->hd.type == NGHTTP2_DATA && end)
            static_cast<Peer *>(self)->ended = true;
        return 0;
    }
    static ssize_t on_read(nghttp2_session *session, int32_t stream, uint8_t *into, size_t room,
                           uint32_t *flags, nghttp2_data_source *source, void *) {
        auto *self = static_cast<Peer *>(source->ptr);
        size_t size = std::min(room, self->body_.size() - self->body_done_);
        std::copy_n(self->body_.data() + self->body_done_, size, into);
        self->body_done_ += size;
        if (self->body_done_ < self->body_.size())
            return static_cast<ssize_t>(size);
        if (!self->has_trailers_ && size == 0)
            return NGHTTP2_ERR_DEFERRED;
        if (!self->has_trailers_)
            return static_cast<ssize_t>(size);
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (!self->trailers_.empty()) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            auto fields = to_nv(self->trailers_);
            nghttp2_submit_trailer(session, stream, fields.data(), fields.size());
        }
        return static_cast<ssize_t>(size);
    }

    std::string body_;
    size_t body_done_ = 0;
    Headers trailers_;
    bool has_trailers_ = false;
};

const Headers kOk = {{":status", "200"}, {"content-type", "application/grpc"}};

std::string framed(const std::string &message, uint8_t flag = 0) {
    Bytes bytes = {flag};
    put_be32(bytes, static_cast<uint32_t>(message.size()));
    append(bytes, view(message));
    return std::string(text(bytes));
}

struct Exchange {
    Exchange() { EXPECT_TRUE(exchange()); }

    // Both ways until nothing moves; the first error of the call's.
    Status exchange() {
        for (;;) {
            Bytes ours;
            TALLY_TRY(call.take_output(ours));
            peer.receive(ours);
            Bytes theirs = peer.output();
            TALLY_TRY(call.receive(theirs));
            if (ours.empty() && theirs.empty())
                return ok();
        }
    }
    std::string respond(const Headers &headers, const std::string *body, const Headers *trailers) {
        peer.respond(headers, body, trailers);
        auto status = exchange();
        if (!status)
            return status.error().message;
        return call.end() ? call.end()->reason : "";
    }

    GrpcCall call{"collector.test:7443", "/tallystick.v1.Ledger/Attest"};
    Peer peer;
};

struct Http2 : testing::Test, Exchange {};

TEST_F(Http2, AsksAsGrpcDoes) {
    Headers expected = {
        {":method", "POST"},
        {":scheme", "https"},
        {":path", "/tallystick.v1.Ledger/Attest"},
        {":authority", "collector.test:7443"},
        {"te", "trailers"},
        {"content-type", "application/grpc+proto"},
        {"grpc-accept-encoding", "identity"},
        {"user-agent", "tallyd/" TALLYSTICK_VERSION},
    };
    EXPECT_EQ(peer.request, expected);
    EXPECT_FALSE(peer.ended);
    EXPECT_FALSE(call.end());
}

TEST_F(Http2, SendsMessagesWhenTheyComeAndEndsAfterTheLast) {
    call.send(view("one"));
    ASSERT_TRUE(exchange());
    EXPECT_EQ(text(peer.received), framed("one"));
    call.send(view("two"));
    call.send(view(""));
    call.half_close();
    ASSERT_TRUE(exchange());
    EXPECT_EQ(text(peer.received), framed("one") + framed("two") + framed(""));
    EXPECT_TRUE(peer.ended);
    EXPECT_EQ(call.unsent(), 0u);
}

TEST_F(Http2, WaitsForThePeersCredit) {
    Bytes large(65535, 'x');
    Peer slow; // a connection of its own, on which nothing flows back
    GrpcCall sender("a:1", "/b");
    sender.send(large);
    sender.send(large);
    Bytes out;
    for (size_t before = 1; before != out.size();) {
        before = out.size();
        Bytes more;
        ASSERT_TRUE(sender.take_output(more));
        append(out, more);
    }
    EXPECT_EQ(sender.unsent(), 2 * (65535u + 5) - 65535u) << "the first window is 65,535 bytes";
    slow.receive(out);
    for (int round = 0; round < 20; round++) {
        Bytes more;
        ASSERT_TRUE(sender.receive(slow.output()));
        ASSERT_TRUE(sender.take_output(more));
        slow.receive(more);
    }
    EXPECT_EQ(sender.unsent(), 0u);
    EXPECT_EQ(slow.received.size(), 2 * (65535u + 5));
}

TEST_F(Http2, PutsMessagesTogetherHoweverTheyAreCut) {
    std::string body = framed("first") + framed("") + framed(std::string(30'000, 'y'));
    peer.respond(kOk, &body, nullptr);
    Bytes bytes = peer.output();
    for (uint8_t byte : bytes)
        ASSERT_TRUE(call.receive({&byte, 1}));
    EXPECT_EQ(text(*call.next_message()), "first");
    EXPECT_EQ(text(*call.next_message()), "");
    EXPECT_EQ(call.next_message()->size(), 30'000u);
    EXPECT_FALSE(call.next_message());
    EXPECT_FALSE(call.end());
}

TEST_F(Http2, ReadsTheStatusFromTrailers) {
    std::string body = framed("last");
    Headers trailers = {{"grpc-status", "0"}};
    respond(kOk, &body, &trailers);
    EXPECT_EQ(text(*call.next_message()), "last") << "messages before the end are not lost";
    ASSERT_TRUE(call.end());
    EXPECT_TRUE(call.end()->ok);
}

TEST_F(Http2, DecodesAndCleansTheMessage) {
    std::string body;
    Headers trailers = {{"grpc-status", "14"}, {"grpc-message", "going%20down%0Anow%E2%82%AC %zz"}};
    EXPECT_EQ(respond(kOk, &body, &trailers), "UNAVAILABLE: going down\\x0anow\\xe2\\x82\\xac %zz");
    ASSERT_TRUE(call.end());
    EXPECT_FALSE(call.end()->ok);
}

TEST_F(Http2, TrailersOnly) {
    Headers only = kOk;
    only.emplace_back("grpc-status", "12");
    EXPECT_EQ(respond(only, nullptr, nullptr), "UNIMPLEMENTED");
}

TEST_F(Http2, AStatusThatGrpcDoesNotKnow) {
    Headers only = kOk;
    only.emplace_back("grpc-status", "4711");
    EXPECT_EQ(respond(only, nullptr, nullptr), "gRPC status 4711");
}

TEST_F(Http2, NoStatusAtAll) {
    std::string body = framed("x");
    Headers none;
    EXPECT_EQ(respond(kOk, &body, &none), "it ended the call without a status");
}

TEST_F(Http2, AProxysErrorPage) {
    std::string page = "<html>no</html>";
    Headers none;
    EXPECT_EQ(respond({{":status", "502"}, {"content-type", "text/html"}}, &page, &none),
              "HTTP status 502");
}

TEST_F(Http2, NotGrpc) {
    std::string page = "<html>hello</html>";
    Headers none;
    EXPECT_EQ(respond({{":status", "200"}, {"content-type", "text/html"}}, &page, &none),
              "not a gRPC server, content-type \"text/html\"");
}

TEST_F(Http2, ACompressedMessage) {
    std::string body = framed("zzz", 1);
    EXPECT_EQ(respond(kOk, &body, nullptr), "HTTP/2: a compressed message, though none was asked "
                                            "for");
}

TEST_F(Http2, AMessageTooLong) {
    std::string body = framed(std::string(GrpcCall::kMaxMessage, 'm'));
    EXPECT_EQ(respond(kOk, &body, nullptr), "");
    EXPECT_EQ(call.next_message()->size(), GrpcCall::kMaxMessage);

    Exchange other;
    std::string claim("\0\x00\x01\x00\x01", 5); // its length is enough, none of it need come
    EXPECT_EQ(other.respond(kOk, &claim, nullptr),
              "HTTP/2: a message of 65537 bytes, more than 65536");
}

TEST_F(Http2, AResetStream) {
    nghttp2_submit_rst_stream(peer.session, 0, 1, NGHTTP2_ENHANCE_YOUR_CALM);
    ASSERT_TRUE(exchange());
    ASSERT_TRUE(call.end());
    EXPECT_EQ(call.end()->reason, "it reset the stream: ENHANCE_YOUR_CALM");
}

TEST_F(Http2, GoawayLetsTheCallFinish) {
    nghttp2_submit_goaway(peer.session, 0, 1, NGHTTP2_NO_ERROR, nullptr, 0);
    ASSERT_TRUE(exchange());
    EXPECT_TRUE(call.going_away());
    EXPECT_FALSE(call.end());
    call.send(view("rest"));
    call.half_close();
    ASSERT_TRUE(exchange());
    EXPECT_EQ(text(peer.received), framed("rest"));
    std::string body;
    Headers trailers = {{"grpc-status", "0"}};
    respond(kOk, &body, &trailers);
    ASSERT_TRUE(call.end());
    EXPECT_TRUE(call.end()->ok);
}

TEST_F(Http2, GoawayWithAReasonIsPassedOn) {
    std::string_view reason = "too_many_pings";
    nghttp2_submit_goaway(peer.session, 0, 0, NGHTTP2_ENHANCE_YOUR_CALM,
                          reinterpret_cast<const uint8_t *>(reason.data()), reason.size());
    ASSERT_TRUE(exchange());
    ASSERT_TRUE(call.end());
    EXPECT_NE(call.end()->reason.find("ENHANCE_YOUR_CALM too_many_pings"), std::string::npos)
        << call.end()->reason;
}

TEST_F(Http2, SomethingElseThanHttp2) {
    auto received = call.receive(view("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
    Bytes out;
    if (received)
        received = call.take_output(out);
    EXPECT_TRUE(!received || call.end());
}

TEST(PercentDecode, LeavesWhatIsNoEscape) {
    EXPECT_EQ(percent_decode("a%20b%2fc%2F"), "a b/c/");
    EXPECT_EQ(percent_decode("100%"), "100%");
    EXPECT_EQ(percent_decode("%4"), "%4");
    EXPECT_EQ(percent_decode("%41"), "A");
    EXPECT_EQ(percent_decode("%g1%1g%%41"), "%g1%1g%A");
}

// Bytes from the network never do more harm than ending the call.
TEST(Http2Fuzz, MutatedReplies) {
    std::minstd_rand random(11);
    for (int round = 0; round < 3000; round++) {
        GrpcCall call("collector.test:7443", "/tallystick.v1.Ledger/Attest");
        Peer peer;
        Bytes out;
        ASSERT_TRUE(call.take_output(out));
        peer.receive(out);
        std::string body = framed("hello") + framed(std::string(500, 'w'));
        Headers trailers = {{"grpc-status", "9"}, {"grpc-message", "no%20more"}};
        peer.respond(kOk, &body, &trailers);
        Bytes bytes = peer.output();
        for (int i = 0; i < 1 + round % 6; i++)
            bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
        if (round % 4 == 0)
            bytes.resize(random() % bytes.size());
        for (size_t at = 0; at < bytes.size();) {
            size_t size = std::min<size_t>(1 + random() % 200, bytes.size() - at);
            if (!call.receive(ByteView(bytes).subspan(at, size)))
                break;
            while (auto message = call.next_message())
                EXPECT_LE(message->size(), bytes.size());
            Bytes sent;
            if (!call.take_output(sent))
                break;
            at += size;
        }
    }
}

} // namespace
} // namespace tally
