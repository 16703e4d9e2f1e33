// A client of NVIDIA's resource manager: as little of one as the context-switch log needs. Only for
// driver releases whose headers were read (rm_layout.h); all others are refused with a reason.
//
// Unproven: written from the headers and tried against a script that answers as they say, never
// against a GPU.
//
// Every call ends when the driver answers, which a sick one does not: never call on the agent's own
// thread. An open client makes this process a holder of the devices that it opened.
#pragma once

#include "agent/work/nvidia/rm_layout.h"
#include "base/fd.h"
#include "base/result.h"

#include <string>
#include <vector>

namespace tally {

// Whether these layouts are that release's, "570.195.03"; the error is a line for the operator.
Status check_rm_release(const std::string &version);

// Memory of the driver's that is mapped here, to be read only.
class RmMapping {
public:
    RmMapping(const void *at, size_t length) : at_(at), length_(length) {}
    RmMapping(RmMapping &&other) noexcept;
    RmMapping &operator=(RmMapping &&other) noexcept;
    ~RmMapping();
    const void *get() const { return at_; }

private:
    const void *at_ = nullptr;
    size_t length_ = 0;
};

class RmClient {
public:
    // `dev` is where the nodes are; `version` the release that is loaded.
    static Result<RmClient> open(const std::string &dev, const std::string &version);
    RmClient(RmClient &&other) noexcept
        : dev_(std::move(other.dev_)), control_(std::move(other.control_)),
          root_(std::exchange(other.root_, 0)) {}
    RmClient &operator=(RmClient &&) = delete;
    ~RmClient(); // frees all that it allocated

    uint32_t root() const { return root_; }
    Result<std::vector<RmCard>> cards() const;
    Result<Fd> open_card(const RmCard &card) const;

    // `what` completes "NVIDIA's driver does not ..."; parameters as the class or command wants
    // them.
    template <typename Parameters> Result<uint32_t> allocate(const char *what, uint32_t parent,
                                                             uint32_t object_class,
                                                             Parameters parameters) const {
        return allocate_object(what, parent, object_class, &parameters, sizeof(parameters));
    }
    template <typename Parameters> Status control(const char *what, uint32_t object,
                                                  uint32_t command, Parameters &parameters) const {
        return control_object(what, object, command, &parameters, sizeof(parameters));
    }
    Status control(const char *what, uint32_t object, uint32_t command) const {
        return control_object(what, object, command, nullptr, 0);
    }
    void free(uint32_t object) const; // and its children
    Result<RmMapping> map(uint32_t memory, size_t length) const;

private:
    RmClient(std::string dev, Fd control) : dev_(std::move(dev)), control_(std::move(control)) {}
    Result<uint32_t> allocate_object(const char *what, uint32_t parent, uint32_t object_class,
                                     void *parameters, size_t size) const;
    Status control_object(const char *what, uint32_t object, uint32_t command, void *parameters,
                          size_t size) const;

    std::string dev_;
    Fd control_;
    uint32_t root_ = 0;
};

} // namespace tally
