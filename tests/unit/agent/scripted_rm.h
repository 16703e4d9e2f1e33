// NVIDIA's resource manager, as far as its headers and sources say what it does, for a machine
// without one: structures as documented, not recorded from hardware.
//
// The device nodes are plain files; the ioctls on them are answered here. The thread under test,
// and any that it starts, has a seccomp filter that hands ioctls of type 'F' to this supervisor
// (seccomp(2), user notification), so that every call is a real one of the code under test.
//
// All offsets and sizes are written out from NVIDIA/open-gpu-kernel-modules (see rm_layout.h and
// fecs_log.h for the files), not taken from the code under test.
#pragma once

#include "base/fd.h"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

struct seccomp_notif;
struct seccomp_notif_resp;

namespace tally {

class ScriptedRm {
public:
    // Makes nvidiactl and nvidia0 in the directory.
    ScriptedRm(std::string release, const std::string &dev);

    // Runs the body on a thread whose ioctls are answered here, until all that it started has
    // ended. False: this kernel does not let it.
    bool run(const std::function<void()> &body);

    // The hardware logs; the driver fetches it when asked to.
    void log(uint8_t tag, uint32_t process, uint64_t time_ns, uint8_t gpu_instance = 0xff,
             uint8_t compute_instance = 0xff);
    void set_time(uint64_t ns);
    void hang(bool hangs);                                            // nothing is answered
    void refuse(uint32_t what, uint32_t status, uint32_t reason = 0); // a class, or a command

    std::set<uint32_t> objects() const;          // classes of all that is allocated
    std::vector<std::string> complaints() const; // calls that the headers do not allow
    uint64_t calls() const;
    uint64_t fetches() const;

private:
    struct Object {
        uint32_t parent = 0, object_class = 0;
        Fd memory; // of memory
    };
    struct Logged {
        uint8_t tag, gpu_instance, compute_instance;
        uint32_t process;
        uint64_t time_ns;
    };
    static constexpr uint32_t kRoot = 0xc1d00001;

    void serve(int listener);
    int answer(unsigned request, uint8_t *argument); // 0, or an errno
    void allocate(uint8_t *argument);
    void control(uint8_t *argument);
    void map(uint8_t *argument);
    void free(uint8_t *argument);
    uint32_t control_status(uint32_t object, uint32_t command, uint8_t *parameters);
    void fetch();
    void complain(const std::string &what);

    const std::string release_;
    mutable std::mutex lock_;
    std::condition_variable woken_;
    bool hangs_ = false;
    uint64_t time_ns_ = 0;
    uint64_t calls_ = 0, fetches_ = 0;
    std::vector<Logged> hardware_;
    std::map<uint32_t, std::pair<uint32_t, uint32_t>> refused_; // -> status, reason
    std::map<uint32_t, Object> objects_;
    uint32_t next_handle_ = 0x5c000001;
    std::vector<std::string> complaints_;
    // The event buffer.
    uint32_t header_ = 0, records_ = 0, capacity_ = 0;
    uint16_t number_ = 0;
    bool bound_ = false, enabled_ = false;
};

} // namespace tally
