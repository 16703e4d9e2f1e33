// The crypto seam as a program, linked once with each side, so that each can be held against the
// other:
//
//   seam sign KEY.pem < message > signature
//   seam verify SPKI.der SIGNATURE < message          exit status 0 or 1
//   seam spki KEY.pem > spki.der
#include "attest/crypto.h"
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

int run(const std::string &command, const std::string &file, const std::string &signature_file) {
    auto contents = read_file(file);
    if (!contents)
        return fail(contents.error().message);
    auto message = command == "spki" ? Result<Bytes>(Bytes()) : read_file("/dev/stdin");
    if (!message)
        return fail(message.error().message);
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
