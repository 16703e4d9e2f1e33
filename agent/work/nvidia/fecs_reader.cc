#include "agent/work/nvidia/fecs_reader.h"

#include "agent/clock.h"

#include <algorithm>
#include <utility>

namespace tally {

namespace {

constexpr uint64_t kPause = 60 * kSecond; // before a GPU that failed is tried again
// Records between two readings, a second apart: 1 MiB, which the driver wants in one piece.
constexpr uint32_t kRecords = 32768;
constexpr size_t kHeaderBytes = 4096;
constexpr size_t kRecordBytes = kRecords * sizeof(FecsRecord);

// Where each structure is from: fecs_log.h.
constexpr uint32_t kBufferClass = 0x90cd; // NV_EVENT_BUFFER; parent: the root
struct BufferParameters {                 // NV_EVENT_BUFFER_ALLOC_PARAMETERS
    uint64_t header_address = 0, record_address = 0;
    uint32_t record_size = 0, record_count = 0;
    uint64_t variable_address = 0;
    uint32_t variable_size = 0, records_free = 0;
    uint64_t notification = 0;
    uint32_t variable_free = 0, subdevice = 0, flags = 0;
    uint32_t header_memory = 0, record_memory = 0, variable_memory = 0;
};
static_assert(sizeof(BufferParameters) == 72 && offsetof(BufferParameters, record_size) == 16);
static_assert(offsetof(BufferParameters, notification) == 40);
static_assert(offsetof(BufferParameters, header_memory) == 60);

constexpr uint32_t kEnableEvents = 0x90cd0101; // NV_EVENT_BUFFER_CTRL_CMD_ENABLE_EVENTS
struct EnableEvents {
    uint8_t enable = 1;
    uint32_t flags = 1; // NV_EVENT_BUFFER_FLAG_OVERFLOW_POLICY_KEEP_OLDEST
};
static_assert(sizeof(EnableEvents) == 8 && offsetof(EnableEvents, flags) == 4);

constexpr uint32_t kUpdateGet = 0x90cd0102; // NV_EVENT_BUFFER_CTRL_CMD_UPDATE_GET
struct UpdateGet {
    uint32_t get = 0, variable_get = 0;
};
static_assert(sizeof(UpdateGet) == 8);

// Has the driver fetch what the hardware wrote; by itself it does 30 times a second.
constexpr uint32_t kFlush = 0x90cd0104; // NV_EVENT_BUFFER_CTRL_CMD_FLUSH, without parameters

constexpr uint32_t kBind = 0x20801238; // NV2080_CTRL_CMD_GR_FECS_BIND_EVTBUF_FOR_UID_V2
struct Bind {
    uint32_t buffer = 0;
    uint32_t record_size = 24; // without its header
    uint32_t detail = 1;       // ..._LOD_SIMPLE, which is what a user gets
    uint32_t filter = 0;
    uint8_t all_users = 1;
    uint32_t reason = 0;
};
static_assert(sizeof(Bind) == 24 && offsetof(Bind, reason) == 20);

// NV2080_CTRL_GR_FECS_BIND_REASON_CODE_*
constexpr const char *kReasons[] = {"it gives no reason",
                                    "the GPU is too old",
                                    "logging is not enabled on this GPU",
                                    "logging is not enabled",
                                    "it wants an administrator (CAP_SYS_ADMIN)",
                                    "the GPU is a virtual one without the profiling capability"};

std::string address_of(const RmCard &card) {
    char text[32];
    std::snprintf(text, sizeof(text), "%04x:%02x:%02x.%x", card.domain, card.bus, card.slot,
                  card.function);
    return text;
}

} // namespace

Result<std::vector<FecsReading>> FecsReader::answer(const FecsWanted &wanted) {
    uint64_t at = read_clock(CLOCK_BOOTTIME);
    bool reloaded = client_ && release_ != wanted.release;
    std::vector<FecsReading> readings = keep_only(reloaded ? FecsWanted{} : wanted);
    if (reloaded)
        client_.reset();
    if (!client_)
        TALLY_TRY(open_client(wanted.release));
    for (const auto &[gpu, divided] : wanted.gpus) {
        FecsReading &reading = readings.emplace_back();
        reading.gpu = gpu;
        auto refused = refused_.find(gpu);
        if (refused != refused_.end() && at < refused->second.until_ns) {
            reading.problem = refused->second.reason;
            continue;
        }
        auto done = read(gpu, divided);
        if (auto log = logs_.find(gpu); log != logs_.end()) {
            reading.boottime_ns = read_clock(CLOCK_BOOTTIME);
            reading.taken = log->second.account->take(); // also what came before a failure
        }
        if (done)
            continue;
        reading.problem = gpu + ": " + done.error().message;
        refused_[gpu] = {divided, reading.problem, at + kPause};
        if (auto log = logs_.extract(gpu))
            close(log.mapped());
    }
    return readings;
}

std::vector<FecsReading> FecsReader::farewell() {
    std::vector<FecsReading> last = keep_only({});
    client_.reset();
    return last;
}

Status FecsReader::open_client(const std::string &release) {
    auto client = RmClient::open(dev_, release);
    if (!client)
        return client.error();
    client_.emplace(*std::move(client));
    release_ = release;
    return ok();
}

Status FecsReader::read(const std::string &gpu, bool divided) {
    if (!logs_.contains(gpu)) {
        Log log;
        log.divided = divided;
        auto opened = open_log(gpu, log);
        if (!opened) {
            close(log);
            return opened.error();
        }
        refused_.erase(gpu);
        logs_.emplace(gpu, std::move(log));
    }
    return empty(logs_.at(gpu));
}

Result<RmCard> FecsReader::find_card(const std::string &gpu) const {
    auto cards = client_->cards();
    if (!cards)
        return cards.error();
    for (const RmCard &card : *cards) {
        if (address_of(card) == gpu)
            return card;
    }
    return Error{"NVIDIA's driver does not list this GPU"};
}

Status FecsReader::open_log(const std::string &gpu, Log &log) const {
    auto card = find_card(gpu);
    if (!card)
        return card.error();
    TALLY_TRY(open_gpu(*card, log));
    TALLY_TRY(open_buffer(log));
    auto since = gpu_time(log);
    if (!since)
        return since.error();
    log.account.emplace(*since);
    // Enabled first: the hardware's log begins with the binding, and none of it is lost.
    EnableEvents enable;
    TALLY_TRY(client_->control("enable its context-switch log", log.buffer, kEnableEvents, enable));
    return bind(log);
}

Status FecsReader::open_gpu(const RmCard &card, Log &log) const {
    auto node = client_->open_card(card);
    if (!node)
        return node.error();
    log.node = *std::move(node);
    RmGpuId id;
    id.gpu = card.gpu;
    TALLY_TRY(client_->control("say which GPU this is", client_->root(), kRmGpuIdInfo, id));
    RmDevice device;
    device.instance = id.device_instance;
    device.share = client_->root();
    auto handle =
        client_->allocate("give access to the GPU", client_->root(), kRmDeviceClass, device);
    if (!handle)
        return handle.error();
    log.device = *handle;
    handle = client_->allocate("give access to the GPU", log.device, kRmSubdeviceClass,
                               RmSubdevice{id.subdevice_instance});
    if (!handle)
        return handle.error();
    log.subdevice = *handle;
    if (!log.divided)
        return ok();
    auto partition = client_->allocate("let all instances of a divided GPU be profiled",
                                       log.subdevice, kRmPartitionClass, RmPartition{});
    return partition ? ok() : Status(partition.error());
}

Status FecsReader::open_buffer(Log &log) const {
    RmMemory memory;
    memory.owner = client_->root();
    auto allocate = [&](size_t bytes, uint32_t &handle) -> Status {
        memory.size = bytes;
        auto allocated =
            client_->allocate("give memory for its log", client_->root(), kRmMemoryClass, memory);
        if (allocated)
            handle = *allocated;
        return allocated ? ok() : Status(allocated.error());
    };
    TALLY_TRY(allocate(kHeaderBytes, log.header_memory));
    TALLY_TRY(allocate(kRecordBytes, log.record_memory));
    BufferParameters parameters;
    parameters.record_size = sizeof(FecsRecord);
    parameters.record_count = kRecords;
    parameters.subdevice = log.subdevice;
    parameters.header_memory = log.header_memory;
    parameters.record_memory = log.record_memory;
    auto buffer =
        client_->allocate("set up an event buffer", client_->root(), kBufferClass, parameters);
    if (!buffer)
        return buffer.error();
    log.buffer = *buffer;
    auto map = [&](uint32_t handle, size_t bytes, std::optional<RmMapping> &into) -> Status {
        auto mapping = client_->map(handle, bytes);
        if (!mapping)
            return mapping.error();
        into.emplace(*std::move(mapping));
        return ok();
    };
    TALLY_TRY(map(log.header_memory, kHeaderBytes, log.header));
    return map(log.record_memory, kRecordBytes, log.records);
}

Status FecsReader::bind(const Log &log) const {
    Bind parameters;
    parameters.buffer = log.buffer;
    auto bound = client_->control("log context switches", log.subdevice, kBind, parameters);
    if (bound)
        return ok();
    std::string why = parameters.reason < std::size(kReasons)
                          ? kReasons[parameters.reason]
                          : "reason " + std::to_string(parameters.reason);
    return Error{bound.error().message + ", " + why};
}

Result<uint64_t> FecsReader::gpu_time(const Log &log) const {
    RmTime time;
    TALLY_TRY(client_->control("tell the GPU's time", log.subdevice, kRmGetTime, time));
    return time.ns;
}

// The time is read before the log is fetched: up to there it is complete.
Status FecsReader::empty(Log &log) const {
    auto now = gpu_time(log);
    if (!now)
        return now.error();
    TALLY_TRY(client_->control("fetch its context-switch log", log.buffer, kFlush));
    auto tail = read_fecs(static_cast<const FecsHeader *>(log.header->get()),
                          static_cast<const FecsRecord *>(log.records->get()), kRecords, log.next);
    if (!tail)
        return tail.error();
    log.account->add(*tail, *now);
    if (tail->records.empty() && tail->dropped == 0)
        return ok();
    log.next = tail->next;
    UpdateGet update;
    update.get = tail->next;
    return client_->control("make room in its context-switch log", log.buffer, kUpdateGet, update);
}

void FecsReader::close(Log &log) const {
    log.header.reset();
    log.records.reset();
    for (uint32_t handle : {log.buffer, log.header_memory, log.record_memory, log.device}) {
        if (handle != 0)
            client_->free(handle);
    }
}

std::vector<FecsReading> FecsReader::keep_only(const FecsWanted &wanted) {
    auto is_wanted = [&](const std::string &gpu, bool divided) {
        auto found = wanted.gpus.find(gpu);
        return found != wanted.gpus.end() && found->second == divided;
    };
    std::vector<FecsReading> last;
    for (auto at = logs_.begin(); at != logs_.end();) {
        if (is_wanted(at->first, at->second.divided)) {
            ++at;
            continue;
        }
        // Nobody asks for it any more: that it could not be emptied once again is no absence.
        static_cast<void>(empty(at->second));
        last.push_back({at->first, read_clock(CLOCK_BOOTTIME), at->second.account->take(), ""});
        close(at->second);
        at = logs_.erase(at);
    }
    std::erase_if(refused_,
                  [&](const auto &each) { return !is_wanted(each.first, each.second.divided); });
    return last;
}

} // namespace tally
