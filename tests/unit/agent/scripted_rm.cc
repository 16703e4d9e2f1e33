#include "tests/unit/agent/scripted_rm.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <future>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <thread>

namespace tally {

namespace {

constexpr uint32_t kInvalidArgument = 0x1f, kNotSupported = 0x56; // nvstatuscodes.h

template <typename Number> Number get(const uint8_t *at) {
    Number value;
    std::memcpy(&value, at, sizeof(value));
    return value;
}
template <typename Number> void put(uint8_t *at, Number value) {
    std::memcpy(at, &value, sizeof(value));
}

// Sizes of the parameters of classes and commands.
const std::map<uint32_t, uint32_t> kSizes = {
    {0x41, 0},        {0x80, 56},      {0x2080, 4},     {0xc637, 16},
    {0x90ce, 128},    {0x90cd, 72},    {0x205, 32},     {0x20800403, 8},
    {0x20801238, 24}, {0x90cd0101, 8}, {0x90cd0102, 8}, {0x90cd0104, 0},
};

int install_filter() {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff00),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'F' << 8, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    };
    sock_fprog program = {static_cast<unsigned short>(std::size(code)), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return static_cast<int>(
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

// A memory of the driver's, to be written.
class Mapped {
public:
    explicit Mapped(int fd) {
        length_ = static_cast<size_t>(lseek(fd, 0, SEEK_END));
        at_ = mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    ~Mapped() { munmap(at_, length_); }
    Mapped(const Mapped &) = delete;
    Mapped &operator=(const Mapped &) = delete;
    uint8_t *bytes() const { return static_cast<uint8_t *>(at_); }

private:
    void *at_;
    size_t length_;
};

} // namespace

ScriptedRm::ScriptedRm(std::string release, const std::string &dev) : release_(std::move(release)) {
    std::ofstream(dev + "/nvidiactl") << "a stand-in";
    std::ofstream(dev + "/nvidia0") << "a stand-in";
}

bool ScriptedRm::run(const std::function<void()> &body) {
    std::promise<int> filtered;
    std::future<int> listener_of = filtered.get_future();
    std::promise<void> ready;
    std::thread tested([&] {
        int listener = install_filter();
        filtered.set_value(listener);
        ready.get_future().wait();
        if (listener >= 0)
            body();
    });
    Fd listener(listener_of.get());
    std::thread supervisor([&] {
        if (listener)
            serve(listener.get());
    });
    ready.set_value();
    tested.join();
    supervisor.join();
    return static_cast<bool>(listener);
}

void ScriptedRm::serve(int listener) {
    pollfd waited = {listener, POLLIN, 0};
    while (poll(&waited, 1, -1) >= 0 && (waited.revents & POLLIN) != 0) {
        seccomp_notif call = {};
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0)
            continue;
        int failure = 0;
        {
            std::unique_lock held(lock_);
            woken_.wait(held, [this] { return !hangs_; });
            calls_++;
            failure = answer(static_cast<unsigned>(call.data.args[1]),
                             reinterpret_cast<uint8_t *>(call.data.args[2]));
        }
        seccomp_notif_resp reply = {};
        reply.id = call.id;
        reply.error = -failure;
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
    }
}

int ScriptedRm::answer(unsigned request, uint8_t *argument) {
    size_t size = _IOC_SIZE(request);
    switch (_IOC_NR(request)) {
    case 210: { // NV_ESC_CHECK_VERSION_STR
        if (size != 72 || get<uint32_t>(argument) != 0)
            return EINVAL;
        bool same = release_ == reinterpret_cast<const char *>(argument + 8);
        put<uint32_t>(argument + 4, same ? 1 : 0);
        return same ? 0 : EINVAL;
    }
    case 200: // NV_ESC_CARD_INFO
        if (size % 72 != 0 || size == 0)
            return EINVAL;
        std::memset(argument, 0, size);
        argument[0] = 1;                      // valid
        argument[8] = 1;                      // bus
        put<uint16_t>(argument + 12, 0x10de); // vendor_id
        put<uint32_t>(argument + 16, 0x100);  // gpu_id
        put<uint32_t>(argument + 56, 0);      // minor_number
        return 0;
    case 0x29:
        return size == 16 ? (free(argument), 0) : EINVAL;
    case 0x2a:
        return size == 32 ? (control(argument), 0) : EINVAL;
    case 0x2b:
        return size == 32 ? (allocate(argument), 0) : EINVAL;
    case 0x4e:
        return size == 56 ? (map(argument), 0) : EINVAL;
    default:
        complain("ioctl " + std::to_string(_IOC_NR(request)));
        return EINVAL;
    }
}

// NVOS21_PARAMETERS; parents by resource_list.h.
void ScriptedRm::allocate(uint8_t *argument) {
    auto parent = get<uint32_t>(argument + 4);
    auto object_class = get<uint32_t>(argument + 12);
    const auto *parameters = reinterpret_cast<const uint8_t *>(get<uint64_t>(argument + 16));
    uint8_t *status = argument + 28;
    auto size = kSizes.find(object_class);
    if (size == kSizes.end() || get<uint32_t>(argument + 24) != size->second) {
        complain("size of class " + std::to_string(object_class));
        return put(status, kInvalidArgument);
    }
    if (auto refused = refused_.find(object_class); refused != refused_.end())
        return put(status, refused->second.first);
    Object object{parent, object_class, {}};
    uint32_t handle = object_class == 0x41 ? kRoot : next_handle_++;
    auto parent_class = objects_.contains(parent) ? objects_.at(parent).object_class : 0;
    uint32_t wanted = object_class == 0x41     ? 0
                      : object_class == 0x2080 ? 0x80
                      : object_class == 0xc637 ? 0x2080
                                               : 0x41;
    if (parent_class != wanted) {
        complain("parent of class " + std::to_string(object_class));
        return put(status, kInvalidArgument);
    }
    if (object_class == 0x90ce) {
        if ((get<uint32_t>(parameters + 28) >> 22 & 1) != 1) // a user's event buffer: read only
            complain("memory that is not read only");
        object.memory = Fd(memfd_create("rm", MFD_CLOEXEC));
        if (ftruncate(object.memory.get(), static_cast<off_t>(get<uint64_t>(parameters + 64))) != 0)
            complain("memory without a size");
    }
    if (object_class == 0x90cd) {
        capacity_ = get<uint32_t>(parameters + 20);
        header_ = get<uint32_t>(parameters + 60);
        records_ = get<uint32_t>(parameters + 64);
        if (get<uint32_t>(parameters + 16) != 32 || !objects_.contains(header_) ||
            !objects_.contains(records_))
            complain("an event buffer that cannot hold records");
    }
    objects_[handle] = std::move(object);
    put(argument + 8, handle);
    put<uint32_t>(status, 0);
}

// NVOS54_PARAMETERS
void ScriptedRm::control(uint8_t *argument) {
    auto object = get<uint32_t>(argument + 4);
    auto command = get<uint32_t>(argument + 8);
    auto *parameters = reinterpret_cast<uint8_t *>(get<uint64_t>(argument + 16));
    auto size = kSizes.find(command);
    if (get<uint32_t>(argument) != kRoot || !objects_.contains(object) || size == kSizes.end() ||
        get<uint32_t>(argument + 24) != size->second) {
        complain("control " + std::to_string(command));
        return put(argument + 28, kInvalidArgument);
    }
    put(argument + 28, control_status(object, command, parameters));
}

uint32_t ScriptedRm::control_status(uint32_t object, uint32_t command, uint8_t *parameters) {
    uint32_t object_class = objects_.at(object).object_class;
    auto refused = refused_.find(command);
    switch (command) {
    case 0x205: // NV0000_CTRL_CMD_GPU_GET_ID_INFO_V2
        return object_class == 0x41 && get<uint32_t>(parameters) == 0x100 ? 0 : kInvalidArgument;
    case 0x20800403: // NV2080_CTRL_CMD_TIMER_GET_TIME
        if (object_class != 0x2080)
            return kInvalidArgument;
        put(parameters, time_ns_);
        return 0;
    case 0x20801238: // NV2080_CTRL_CMD_GR_FECS_BIND_EVTBUF_FOR_UID_V2
        if (object_class != 0x2080 || !objects_.contains(get<uint32_t>(parameters)))
            return kInvalidArgument;
        if (refused != refused_.end()) {
            put(parameters + 20, refused->second.second);
            return refused->second.first;
        }
        bound_ = parameters[16] == 1; // bAllUsers
        return 0;
    case 0x90cd0101: // NV_EVENT_BUFFER_CTRL_CMD_ENABLE_EVENTS: KEEP_OLDEST
        enabled_ = parameters[0] == 1 && get<uint32_t>(parameters + 4) == 1;
        return object_class == 0x90cd ? 0 : kInvalidArgument;
    case 0x90cd0102: { // NV_EVENT_BUFFER_CTRL_CMD_UPDATE_GET
        if (object_class != 0x90cd || get<uint32_t>(parameters) >= capacity_)
            return kInvalidArgument;
        Mapped header(objects_.at(header_).memory.get());
        put(header.bytes(), get<uint32_t>(parameters));
        put<uint64_t>(header.bytes() + 16, 0);
        return 0;
    }
    default: // NV_EVENT_BUFFER_CTRL_CMD_FLUSH
        if (object_class != 0x90cd)
            return kInvalidArgument;
        fetch();
        fetches_++;
        return refused == refused_.end() ? 0 : refused->second.first;
    }
}

// fecs_event_list.c, _fecsEventBufferAdd; eventbufferproducer.c, eventBufferProducerAddEvent.
void ScriptedRm::fetch() {
    if (!bound_ || !enabled_)
        return;
    Mapped header(objects_.at(header_).memory.get()), records(objects_.at(records_).memory.get());
    for (const Logged &logged : std::exchange(hardware_, {})) {
        uint16_t number = number_++;
        auto at = get<uint32_t>(header.bytes() + 4);
        if ((at + 1) % capacity_ == get<uint32_t>(header.bytes())) {
            put(header.bytes() + 16, get<uint64_t>(header.bytes() + 16) + 1);
            continue;
        }
        uint8_t *record = records.bytes() + size_t{at} * 32;
        std::memset(record, 0, 32);
        put<uint16_t>(record, 2);
        record[8] = logged.tag;
        put(record + 10, number);
        put(record + 16, logged.process);
        record[22] = logged.gpu_instance;
        record[23] = logged.compute_instance;
        put(record + 24, logged.time_ns);
        put(header.bytes() + 4, (at + 1) % capacity_);
    }
}

// nv_ioctl_nvos33_parameters_with_fd
void ScriptedRm::map(uint8_t *argument) {
    auto memory = get<uint32_t>(argument + 8);
    bool right = get<uint32_t>(argument) == kRoot && get<uint32_t>(argument + 4) == kRoot &&
                 objects_.contains(memory) && objects_.at(memory).memory &&
                 (get<uint32_t>(argument + 44) & 3) == 1;
    if (!right)
        complain("a mapping");
    // What is mapped through that descriptor next is the memory.
    if (right && dup2(objects_.at(memory).memory.get(), get<int32_t>(argument + 48)) < 0)
        complain("a descriptor");
    put<uint32_t>(argument + 40, right ? 0 : kNotSupported);
}

// NVOS00_PARAMETERS: the object and all below it.
void ScriptedRm::free(uint8_t *argument) {
    std::set<uint32_t> gone{get<uint32_t>(argument + 8)};
    if (!objects_.contains(*gone.begin()))
        complain("to free what is not there");
    for (size_t before = 0; before != gone.size();) {
        before = gone.size();
        for (const auto &[handle, object] : objects_) {
            if (gone.contains(object.parent))
                gone.insert(handle);
        }
    }
    std::erase_if(objects_, [&](const auto &each) { return gone.contains(each.first); });
    put<uint32_t>(argument + 12, 0);
}

void ScriptedRm::log(uint8_t tag, uint32_t process, uint64_t time_ns, uint8_t gpu_instance,
                     uint8_t compute_instance) {
    std::lock_guard held(lock_);
    hardware_.push_back({tag, gpu_instance, compute_instance, process, time_ns});
}

void ScriptedRm::set_time(uint64_t ns) {
    std::lock_guard held(lock_);
    time_ns_ = ns;
}

void ScriptedRm::hang(bool hangs) {
    std::lock_guard held(lock_);
    hangs_ = hangs;
    woken_.notify_all();
}

void ScriptedRm::refuse(uint32_t what, uint32_t status, uint32_t reason) {
    std::lock_guard held(lock_);
    refused_[what] = {status, reason};
}

std::set<uint32_t> ScriptedRm::objects() const {
    std::lock_guard held(lock_);
    std::set<uint32_t> classes;
    for (const auto &[handle, object] : objects_)
        classes.insert(object.object_class);
    return classes;
}

void ScriptedRm::complain(const std::string &what) {
    complaints_.push_back(what);
}

std::vector<std::string> ScriptedRm::complaints() const {
    std::lock_guard held(lock_);
    return complaints_;
}

uint64_t ScriptedRm::fetches() const {
    std::lock_guard held(lock_);
    return fetches_;
}

uint64_t ScriptedRm::calls() const {
    std::lock_guard held(lock_);
    return calls_;
}

} // namespace tally
