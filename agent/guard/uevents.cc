#include "agent/guard/uevents.h"

#include "base/bytes.h"

#include <array>
#include <cerrno>
#include <linux/netlink.h>
#include <sys/socket.h>

namespace tally {

namespace {

constexpr unsigned kKernelGroup = 1; // group 2 is what udev says to its own listeners
// The kernel's buffer for the pairs is 2048 bytes (include/linux/kobject.h, UEVENT_BUFFER_SIZE).
constexpr size_t kLongestMessage = 8192;
constexpr size_t kMostAtOnce = 4096; // messages; more than the socket holds

// Takes one key's value; false if the key came twice.
bool take(std::string &value, bool &seen, std::string_view given) {
    value = given;
    return !std::exchange(seen, true);
}

} // namespace

std::optional<Uevent> parse_uevent(std::string_view message) {
    if (message.empty() || message.back() != '\0')
        return std::nullopt;
    message.remove_suffix(1);
    if (message.ends_with('\0'))
        return std::nullopt;
    std::string_view header = take_until(message, '\0');
    size_t at = header.find('@');
    if (at == 0 || at == std::string_view::npos || header.substr(at + 1, 1) != "/")
        return std::nullopt;

    Uevent event;
    struct Key {
        std::string_view name;
        std::string &value;
        bool seen = false;
    };
    std::array<Key, 6> keys = {{{"ACTION", event.action},
                                {"DEVPATH", event.devpath},
                                {"SUBSYSTEM", event.subsystem},
                                {"DRIVER", event.driver},
                                {"PCI_SLOT_NAME", event.pci_address},
                                {"DEVNAME", event.node}}};
    while (!message.empty()) {
        std::string_view pair = take_until(message, '\0');
        size_t equals = pair.find('=');
        if (equals == 0 || equals == std::string_view::npos)
            return std::nullopt;
        std::string_view name = pair.substr(0, equals);
        event.synthetic |= name == "SYNTH_UUID";
        for (Key &key : keys) {
            if (key.name == name && !take(key.value, key.seen, pair.substr(equals + 1)))
                return std::nullopt;
        }
    }
    if (event.action != header.substr(0, at) || event.devpath != header.substr(at + 1) ||
        event.subsystem.empty())
        return std::nullopt;
    return event;
}

bool concerns_devices(const Uevent &event) {
    if (event.subsystem == "pci" || event.subsystem == "module" || event.subsystem == "mdev")
        return true;
    return !event.node.empty() && event.subsystem != "block";
}

Result<Uevents> Uevents::open() {
    Fd socket(
        ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
    if (!socket)
        return errno_error("uevent socket");
    sockaddr_nl address = {};
    address.nl_family = AF_NETLINK;
    address.nl_groups = kKernelGroup;
    if (bind(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) != 0)
        return errno_error("listen to uevents");
    return Uevents(std::move(socket));
}

Uevents::Batch Uevents::read() {
    Batch batch;
    std::array<char, kLongestMessage> buffer;
    for (size_t messages = 0; messages < kMostAtOnce; messages++) {
        sockaddr_nl sender = {};
        iovec data = {buffer.data(), buffer.size()};
        msghdr message = {};
        message.msg_name = &sender;
        message.msg_namelen = sizeof(sender);
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        ssize_t length = recvmsg(socket_.get(), &message, MSG_DONTWAIT);
        if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (length < 0) { // ENOBUFS above all: the queue overflowed
            batch.lost = true;
            continue;
        }
        // Port 0 is the kernel; other processes may send to the group too (with CAP_NET_ADMIN).
        if (message.msg_namelen != sizeof(sender) || sender.nl_pid != 0)
            continue;
        auto event = parse_uevent({buffer.data(), static_cast<size_t>(length)});
        if (event && (message.msg_flags & MSG_TRUNC) == 0)
            batch.events.push_back(std::move(*event));
        else
            batch.lost = true;
    }
    return batch;
}

} // namespace tally
