// Errors as values. A Result<T> holds a T or an Error; neither can be dropped silently.
// An Error is one line for a person: what failed, on what, and what to do about it.
#pragma once

#include <cstring>
#include <string>
#include <utility>
#include <variant>

namespace tally {

struct Error {
    std::string message;
};

// "open /etc/x: No such file or directory"; reads errno, so call it first thing after the failure.
inline Error errno_error(const std::string &what) {
    return Error{what + ": " + std::strerror(errno)};
}

template <typename T> class [[nodiscard]] Result {
public:
    Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return held_.index() == 0; }
    T &value() & { return std::get<0>(held_); }
    const T &value() const & { return std::get<0>(held_); }
    T &&value() && { return std::get<0>(std::move(held_)); }
    T &operator*() & { return value(); }
    const T &operator*() const & { return value(); }
    T &&operator*() && { return std::move(*this).value(); }
    T *operator->() { return &value(); }
    const T *operator->() const { return &value(); }
    const Error &error() const { return std::get<1>(held_); }

private:
    std::variant<T, Error> held_;
};

struct Done {};

// The result of doing something that returns nothing.
using Status = Result<Done>;
inline Status ok() {
    return Done{};
}

} // namespace tally

// Leaves the calling function with the error if `expression` (a Status or Result) failed.
#define TALLY_TRY(expression)                                                                      \
    do {                                                                                           \
        if (auto tally_try_result = (expression); !tally_try_result)                               \
            return tally_try_result.error();                                                       \
    } while (0)
