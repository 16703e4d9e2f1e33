// The crypto seam as a program, linked once with each side, so that each can be held against the
// other:
//
//   seam sign KEY.pem < message > signature
//   seam verify SPKI.der SIGNATURE < message          exit status 0 or 1
//   seam spki KEY.pem > spki.der
//   seam seal PUBLIC.pem < message > sealed           the encapsulated key, then the box
//   seam open KEY.pem < sealed > message
#include "attest/crypto.h"
#include "attest/hpke.h"
#include "base/durable.h"

#include <cstdio>
#include <unistd.h>

namespace tally {
namespace {

int fail(const std::string &message) {
    std::fprintf(stderr, "seam: %s\n", message.c_str());
    return 2;
}

int print(ByteView bytes) {
    return write(STDOUT_FILENO, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())
               ? 0
               : 2;
}

constexpr size_t kEncapsulated = 65;

int seal(const std::string &pem, ByteView message) {
    auto point = hpke_public_key(pem);
    auto ephemeral = AgreementKey::generate();
    if (!point || !ephemeral)
        return fail(point ? ephemeral.error().message : point.error().message);
    auto sender = HpkeSender::start(*ephemeral, *point, view("seam"));
    if (!sender)
        return fail(sender.error().message);
    auto box = sender->seal(view("with it"), message);
    if (!box)
        return fail(box.error().message);
    Bytes sealed = sender->encapsulated();
    append(sealed, *box);
    return print(sealed);
}

int open(const std::string &pem, ByteView sealed) {
    auto key = AgreementKey::from_pem(pem);
    if (!key || sealed.size() < kEncapsulated)
        return fail(key ? "too short" : key.error().message);
    auto receiver = HpkeReceiver::start(*key, sealed.first(kEncapsulated), view("seam"));
    if (!receiver)
        return fail(receiver.error().message);
    auto message = receiver->open(0, view("with it"), sealed.subspan(kEncapsulated));
    return message ? print(*message) : fail(message.error().message);
}

int run(const std::string &command, const std::string &file, const std::string &signature_file) {
    auto contents = read_file(file);
    if (!contents)
        return fail(contents.error().message);
    auto message = command == "spki" ? Result<Bytes>(Bytes()) : read_file("/dev/stdin");
    if (!message)
        return fail(message.error().message);
    if (command == "seal")
        return seal(std::string(text(*contents)), *message);
    if (command == "open")
        return open(std::string(text(*contents)), *message);
    if (command == "verify") {
        auto key = VerifyingKey::from_spki(*contents);
        auto signature = read_file(signature_file);
        if (!key || !signature)
            return fail("bad key or no signature");
        return key->verify(*message, *signature) ? 0 : 1;
    }
    auto key = SigningKey::from_pem(std::string(text(*contents)));
    if (!key)
        return fail(key.error().message);
    if (command == "spki")
        return print(key->verifying_key().spki());
    auto signature = key->sign(*message);
    return signature ? print(*signature) : fail(signature.error().message);
}

} // namespace
} // namespace tally

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    return tally::run(argv[1], argv[2], argc > 3 ? argv[3] : "");
}
