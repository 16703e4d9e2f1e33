// What TLS lets through, and what it says about the rest. Certificates first, then peers.
#include "tests/unit/agent/hostile_peer.h"
#include "tests/unit/agent/uplink_rig.h"

namespace tally {
namespace {

const Validity kExpired = {"20200101000000", "20210203040506"};
const Validity kFuture = {"20980101000000", "20990101000000"};

struct TlsTest : testing::Test, Rig {
    ~TlsTest() override { testing::internal::GetCapturedStderr(); }

    std::string load_error() const {
        auto loaded = load_tls();
        return loaded ? "" : loaded.error().message;
    }
    void use(const PemIdentity &identity) {
        spill(files.certificate, view(identity.certificate));
        spill(files.key, view(identity.key));
    }
    // Connects to `address`, fails, and fails again; what was logged, which must be one line.
    std::string failure(const std::string &address) {
        append(1, 1);
        TestCollector keys_only(ca);
        make_uplink(address, keys_only.log_keys());
        EXPECT_TRUE(run_until_failed());
        tried = false;
        EXPECT_TRUE(run_until(
            [this] { return tried && uplink->state() == Uplink::State::kDisconnected; }, true));
        std::string log = logged();
        std::string ours;
        for (std::string_view rest = log; !rest.empty();) // grpc++ logs here, too
            if (std::string_view line = take_until(rest, '\n'); line.starts_with("uplink: "))
                ours += std::string(line) + "\n";
        EXPECT_EQ(Rig::count(ours, "\n"), 1) << ours;
        EXPECT_EQ(uplink->counters().connects, 0u);
        return ours;
    }
    std::string failure(TestCollector &collector) {
        collector.start();
        return failure(collector.address());
    }
};

void expect_has(const std::string &text, const std::string &part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST_F(TlsTest, LoadsWhatFits) {
    EXPECT_EQ(load_error(), "");
}

TEST_F(TlsTest, NamesTheMissingFile) {
    std::filesystem::remove(files.key);
    expect_has(load_error(), "TLS key: open " + files.key + ": No such file or directory");
    std::filesystem::remove(files.certificate);
    expect_has(load_error(), files.certificate + ": No such file or directory");
    std::filesystem::remove(files.ca);
    expect_has(load_error(), "fleet CA: open " + files.ca + ": No such file or directory");
}

TEST_F(TlsTest, NamesTheFileThatIsNoCertificateOrKey) {
    spill(files.key, view("-----BEGIN PRIVATE KEY-----\nnot\n-----END PRIVATE KEY-----\n"));
    expect_has(load_error(), "TLS key " + files.key + ": not a PEM private key: ");
    spill(files.certificate, view("garbage"));
    expect_has(load_error(), "TLS certificate " + files.certificate + ": not a PEM certificate: ");
    spill(files.ca, view(""));
    expect_has(load_error(), "fleet CA " + files.ca + ": not a PEM certificate: ");
    spill(files.ca, view(ca.certificate + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE"
                                          "-----\n"));
    expect_has(load_error(), "1 of its certificates cannot be read");
}

TEST_F(TlsTest, SaysThatKeyAndCertificateDoNotBelongTogether) {
    spill(files.key, view(make_key()));
    EXPECT_EQ(load_error(),
              "TLS key " + files.key + " is not the key of certificate " + files.certificate);
}

TEST_F(TlsTest, NamesTheExpiredCertificateAndItsDate) {
    use(make_leaf(ca, "host.test", kExpired));
    EXPECT_EQ(load_error(), "TLS certificate " + files.certificate +
                                ": expired on 2021-02-03 04:05:06 UTC; renew it");
    use(make_leaf(ca, "host.test", kFuture));
    expect_has(load_error(), files.certificate + ": not valid before 2098-01-01 00:00:00 UTC");
    spill(files.ca, view(make_ca("fleet", kExpired).certificate));
    expect_has(load_error(), "fleet CA " + files.ca + ": expired on 2021-02-03");
}

TEST_F(TlsTest, ACaFileMayHoldOldAndNew) {
    spill(files.ca, view(make_ca("fleet", kExpired).certificate + ca.certificate));
    EXPECT_EQ(load_error(), "");
}

TEST_F(TlsTest, RefusesACollectorOfAnotherFleet) {
    PemIdentity foreign = make_ca("foreign");
    TestCollector collector(ca, make_leaf(foreign, kCollectorName));
    expect_has(failure(collector), "its certificate is refused, expected one for collector.test: "
                                   "The certificate is not correctly signed by the trusted CA");
}

TEST_F(TlsTest, RefusesACollectorWithAnotherName) {
    TestCollector collector(ca, make_leaf(ca, "elsewhere.test"));
    expect_has(failure(collector), "expected one for collector.test: The certificate Common Name "
                                   "(CN) does not match");
}

TEST_F(TlsTest, RefusesACollectorWhoseCertificateHasExpired) {
    TestCollector collector(ca, make_leaf(ca, kCollectorName, kExpired));
    expect_has(failure(collector), "The certificate validity has expired");
}

// grpc++ sends no alert; a proxy in front of it would.
TEST_F(TlsTest, GuessesWhyACollectorHangsUp) {
    use(make_leaf(make_ca("foreign"), "host.test"));
    TestCollector collector(ca);
    expect_has(failure(collector), "it hung up on seeing this host's certificate: is that of its "
                                   "fleet, and still valid?");
}

TEST_F(TlsTest, PassesOnTheAlertOfAPeerThatDoesNotKnowUs) {
    PlainServer proxy(tls_then(make_leaf(ca, kCollectorName), "h2", "", make_ca("foreign")));
    expect_has(failure(proxy.address()),
               "TLS handshake: it sent the TLS alert \"unknown certificate authority\" (48)");
}

TEST_F(TlsTest, DemandsHttp2) {
    PemIdentity identity = make_leaf(ca, kCollectorName);
    PlainServer silent(tls_then(identity, nullptr, ""));
    expect_has(failure(silent.address()), "it does not offer HTTP/2 (ALPN \"h2\")");
}

TEST_F(TlsTest, DemandsHttp2OfAServerThatOffersAnother) {
    PlainServer other(tls_then(make_leaf(ca, kCollectorName), "http/1.1", ""));
    expect_has(failure(other.address()), "TLS alert \"no application protocol\" (120)");
}

TEST_F(TlsTest, AServerWithoutTls) {
    PlainServer garbage([](int fd) {
        std::string_view text = "HTTP/1.1 400 Bad Request\r\n\r\n";
        (void)!write(fd, text.data(), text.size());
        char ignored[512];
        while (read(fd, ignored, sizeof(ignored)) > 0)
            ;
    });
    expect_has(failure(garbage.address()), ": TLS handshake: SSL - ");
}

TEST_F(TlsTest, AServerThatClosesAtOnce) {
    PlainServer closing([](int) {});
    expect_has(failure(closing.address()), ": TLS handshake: it closed the connection");
}

TEST_F(TlsTest, AServerThatNeverAnswers) {
    PlainServer mute([](int fd) {
        char ignored[512];
        while (read(fd, ignored, sizeof(ignored)) > 0)
            ;
    });
    make_uplink(mute.address(), {});
    ASSERT_TRUE(run_until([&] { return uplink->state() == Uplink::State::kHandshaking; }));
    EXPECT_LE(uplink->next_timer_ns(), now() + 20 * kSecond);
    pushed_ns += 21 * kSecond;
    ASSERT_TRUE(run_until_failed());
    expect_has(logged(), "TLS handshake timed out");
}

TEST_F(TlsTest, GarbageInsideTls) {
    PlainServer garbage(tls_then(make_leaf(ca, kCollectorName), "h2", std::string(4000, 'x')));
    expect_has(failure(garbage.address()), ": HTTP/2: ");
}

TEST_F(TlsTest, AFrameCutShort) {
    std::string settings("\x00\x00\x00\x04\x00\x00\x00\x00\x00", 9);
    std::string half_ping("\x00\x00\x08\x06\x00\x00\x00\x00\x00\x01\x02", 11);
    PlainServer cutting(tls_then(make_leaf(ca, kCollectorName), "h2", settings + half_ping));
    expect_has(failure(cutting.address()), ": it closed the connection");
}

TEST_F(TlsTest, NobodyThere) {
    std::string address = PlainServer([](int) {}).address();
    expect_has(failure(address), " unreachable: Connection refused; recording goes on, retrying");
}

TEST_F(TlsTest, ANameThatDoesNotResolve) {
    expect_has(failure("collector.invalid:7443"), " cannot be resolved: ");
}

} // namespace
} // namespace tally
