#include "tests/unit/collector/support.h"

#include "base/durable.h"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>

namespace tally {

namespace {

std::string pem_of(EVP_PKEY *generated) {
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(generated, EVP_PKEY_free);
    std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    char *text = nullptr;
    long length = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<size_t>(length)};
}

} // namespace

LogKeys::LogKeys()
    : ed25519_(pem_of(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"))),
      ecdsa_(pem_of(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"))) {
}

std::vector<NoteSigner> LogKeys::signers() const {
    std::vector<NoteSigner> signers;
    for (const std::string &pem : {ed25519_, ecdsa_})
        signers.push_back({kOrigin, SigningKey::from_pem(pem).value()});
    return signers;
}

std::vector<NoteKey> LogKeys::verifying() const {
    std::vector<NoteKey> keys;
    for (const NoteSigner &signer : signers())
        keys.push_back(note_key(signer.name, signer.key.verifying_key()));
    return keys;
}

Scratch::Scratch() {
    std::string pattern = testing::TempDir() + "collector-XXXXXX";
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
}

Scratch::~Scratch() {
    std::filesystem::remove_all(path_);
}

std::vector<std::string> files_below(const std::string &directory) {
    std::vector<std::string> files;
    for (const auto &entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (!entry.is_directory())
            files.push_back(entry.path().lexically_relative(directory).string());
    }
    std::sort(files.begin(), files.end());
    return files;
}

void flip_byte(const std::string &path, size_t at) {
    auto bytes = read_file(path);
    ASSERT_TRUE(bytes) << path;
    ASSERT_LT(at, bytes->size()) << path;
    (*bytes)[at] ^= 0x01;
    ASSERT_TRUE(replace_file(path, *bytes));
}

} // namespace tally
