#include "agent/work/nvidia/rm_client.h"

#include "base/bytes.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>

namespace tally {

namespace {

// Releases as numbers, "570.195.03" as {570, 195, 3}.
using Release = std::array<uint64_t, 3>;

// Between two releases whose nvos.h was read and found alike; of the smaller headers, which change
// less, not every one was there to be read at either end (rm_layout.h, fecs_log.h). Before 545 a
// memory's parameters are shorter; what comes after the last one, nobody here has seen.
struct Known {
    Release first, last;
};
constexpr Known kKnown[] = {{{560, 28, 3}, {590, 48, 1}}};

// Two numbers or three.
Result<Release> parse_release(std::string_view text) {
    Release release{};
    for (size_t i = 0; i < release.size(); i++) {
        std::string_view digits = take_until(text, '.');
        while (digits.size() > 1 && digits[0] == '0')
            digits.remove_prefix(1);
        auto number = parse_decimal(digits);
        if (!number)
            return number.error();
        release[i] = *number;
        if (text.empty() && i > 0)
            return release;
    }
    return Error{"not two numbers or three"};
}

// Status codes: nvstatuscodes.h.
Error refusal(const char *what, uint32_t status) {
    char number[16];
    std::snprintf(number, sizeof(number), "0x%02x", status);
    return Error{std::string("NVIDIA's driver does not ") + what + ": status " + number};
}

uint64_t pointer(const void *at) {
    return reinterpret_cast<uintptr_t>(at);
}

} // namespace

Status check_rm_release(const std::string &version) {
    auto release = parse_release(version);
    if (release && std::any_of(std::begin(kKnown), std::end(kKnown), [&](const Known &known) {
            return *release >= known.first && *release <= known.last;
        }))
        return ok();
    return Error{"NVIDIA's driver " +
                 printable(version.empty() ? "without a version" : version, 64) +
                 ": the layout of its context-switch log is not known here (560.28.03 to 590.48.01 "
                 "are)"};
}

RmMapping::RmMapping(RmMapping &&other) noexcept
    : at_(std::exchange(other.at_, nullptr)), length_(other.length_) {
}

RmMapping &RmMapping::operator=(RmMapping &&other) noexcept {
    std::swap(at_, other.at_);
    std::swap(length_, other.length_);
    return *this;
}

RmMapping::~RmMapping() {
    if (at_ != nullptr)
        munmap(const_cast<void *>(at_), length_);
}

Result<RmClient> RmClient::open(const std::string &dev, const std::string &version) {
    TALLY_TRY(check_rm_release(version));
    std::string path = dev + "/nvidiactl";
    RmClient client(dev, Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)));
    if (!client.control_)
        return errno_error("open " + path);
    RmVersion check;
    version.copy(check.version, sizeof(check.version) - 1);
    if (ioctl(client.control_.get(), kRmCheckVersion, &check) != 0) {
        if (errno == ENOTTY)
            return Error{path + " is not NVIDIA's driver"};
        return errno_error(path + " does not confirm release " + version);
    }
    if (check.reply != 1)
        return Error{path + " is of another release than " + version};
    auto root = client.allocate_object("take a client", 0, kRmRootClass, nullptr, 0);
    if (!root)
        return root.error();
    client.root_ = *root;
    return client;
}

RmClient::~RmClient() {
    if (root_ != 0)
        free(root_);
}

Result<std::vector<RmCard>> RmClient::cards() const {
    RmCards all;
    if (ioctl(control_.get(), kRmCardInfo, &all) != 0)
        return errno_error("list NVIDIA's GPUs");
    std::vector<RmCard> cards(std::begin(all.cards), std::end(all.cards));
    std::erase_if(cards, [](const RmCard &card) { return card.valid == 0; });
    return cards;
}

Result<Fd> RmClient::open_card(const RmCard &card) const {
    std::string path = dev_ + "/nvidia" + std::to_string(card.minor);
    Fd node(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!node)
        return errno_error("open " + path);
    return node;
}

Result<uint32_t> RmClient::allocate_object(const char *what, uint32_t parent, uint32_t object_class,
                                           void *parameters, size_t size) const {
    RmAllocate call;
    call.root = root_;
    call.parent = parent;
    call.object_class = object_class;
    call.parameters = pointer(parameters);
    call.size = static_cast<uint32_t>(size);
    if (ioctl(control_.get(), kRmAllocate, &call) != 0)
        return errno_error(std::string("have NVIDIA's driver ") + what);
    if (call.status != 0)
        return refusal(what, call.status);
    return call.object;
}

Status RmClient::control_object(const char *what, uint32_t object, uint32_t command,
                                void *parameters, size_t size) const {
    RmControl call;
    call.root = root_;
    call.object = object;
    call.command = command;
    call.parameters = pointer(parameters);
    call.size = static_cast<uint32_t>(size);
    if (ioctl(control_.get(), kRmControl, &call) != 0)
        return errno_error(std::string("have NVIDIA's driver ") + what);
    if (call.status != 0)
        return refusal(what, call.status);
    return ok();
}

void RmClient::free(uint32_t object) const {
    RmFree call;
    call.root = root_;
    call.object = object;
    ioctl(control_.get(), kRmFree, &call); // what it does not free now, it frees at our close
}

// osapi.c, RmCreateMmapContextLocked, and nv-mmap.c: memory that is of no device is mapped through
// a control node of its own, whose next mmap it is.
Result<RmMapping> RmClient::map(uint32_t memory, size_t length) const {
    std::string path = dev_ + "/nvidiactl";
    Fd node(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!node)
        return errno_error("open " + path);
    RmMap call;
    call.root = root_;
    call.device = root_;
    call.memory = memory;
    call.length = length;
    call.flags = kRmMapReadOnly;
    call.fd = node.get();
    if (ioctl(control_.get(), kRmMap, &call) != 0)
        return errno_error("have NVIDIA's driver map its log");
    if (call.status != 0)
        return refusal("map its log", call.status);
    void *at = mmap(nullptr, length, PROT_READ, MAP_SHARED, node.get(), 0);
    if (at == MAP_FAILED)
        return errno_error("map the log of NVIDIA's driver");
    return RmMapping(at, length);
}

} // namespace tally
