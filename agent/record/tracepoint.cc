#include "agent/record/tracepoint.h"

#include "base/bytes.h"
#include "base/fd.h"

#include <bpf/libbpf.h>
#include <cerrno>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>

namespace tally {

namespace {

Result<uint64_t> tracepoint_id(int tracefs, const std::string &name) {
    Fd file(openat(tracefs, ("events/" + name + "/id").c_str(), O_RDONLY | O_CLOEXEC));
    char digits[32];
    ssize_t length = file ? read(file.get(), digits, sizeof(digits)) : -1;
    if (length <= 0)
        return errno_error("tracepoint " + name);
    std::string_view id(digits, static_cast<size_t>(length));
    return parse_decimal(take_until(id, '\n'));
}

} // namespace

Result<bpf_link *> attach_tracepoint(bpf_program *program, int tracefs, const char *name) {
    auto id = tracepoint_id(tracefs, name);
    if (!id)
        return id.error();
    perf_event_attr attributes = {};
    attributes.type = PERF_TYPE_TRACEPOINT;
    attributes.size = sizeof(attributes);
    attributes.config = *id;
    // One event is enough: the program hangs on the tracepoint itself and runs on every CPU.
    Fd event(static_cast<int>(syscall(SYS_perf_event_open, &attributes, /*pid=*/-1, /*cpu=*/0,
                                      /*group=*/-1, PERF_FLAG_FD_CLOEXEC)));
    if (!event)
        return errno_error("perf_event_open " + std::string(name));
    bpf_link *link = bpf_program__attach_perf_event(program, event.get());
    if (link == nullptr)
        return errno_error("attach to tracepoint " + std::string(name));
    event.release(); // the link closes it
    return link;
}

} // namespace tally
