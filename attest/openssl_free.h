// Owns what OpenSSL hands out: std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>. Central side only.
#pragma once

namespace tally {

template <auto free> struct FreeBy {
    template <typename T> void operator()(T *object) const { free(object); }
};

} // namespace tally
