#include "tests/system/intruder.h"

#include "base/durable.h"
#include "tests/system/lab.h"

#include <filesystem>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

namespace tally {

int descriptor_of_link(pid_t process, uint32_t link) {
    std::string directory = "/proc/" + std::to_string(process) + "/fdinfo";
    std::string wanted = "link_id:\t" + std::to_string(link) + "\n";
    for (const auto &entry : std::filesystem::directory_iterator(directory)) {
        auto text = read_text(entry.path().string());
        if (text && text->find(wanted) != std::string::npos)
            return std::stoi(entry.path().filename().string());
    }
    return -1;
}

// The process sleeps in a system call: the instruction before it is used once more, for another.
bool close_in(pid_t process, int fd) {
    constexpr long kInstruction = 2; // syscall: 0f 05
    user_regs_struct before = {};
    int status = 0;
    if (fd < 0 || ptrace(PTRACE_ATTACH, process, nullptr, nullptr) != 0)
        return false;
    waitpid(process, &status, 0);
    ptrace(PTRACE_GETREGS, process, nullptr, &before);
    long code = ptrace(PTRACE_PEEKTEXT, process, before.rip - kInstruction, nullptr);
    bool done = (code & 0xffff) == 0x050f;
    if (done) {
        user_regs_struct call = before;
        call.rip -= kInstruction;
        call.orig_rax = ~0ULL; // it was not interrupted in what comes now
        call.rax = SYS_close;
        call.rdi = static_cast<unsigned long long>(fd);
        ptrace(PTRACE_SETREGS, process, nullptr, &call);
        ptrace(PTRACE_SINGLESTEP, process, nullptr, nullptr);
        waitpid(process, &status, 0);
        ptrace(PTRACE_GETREGS, process, nullptr, &call);
        done = call.rax == 0;
        ptrace(PTRACE_SETREGS, process, nullptr, &before);
    }
    ptrace(PTRACE_DETACH, process, nullptr, nullptr);
    return done;
}

} // namespace tally
