#include "tests/system/lab.h"

#include "base/durable.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <mntent.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

namespace tally {

namespace fs = std::filesystem;

namespace {

int status_of(int wait_status) {
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

pid_t spawn(const std::vector<std::string> &command, const std::string &output_file) {
    std::vector<char *> arguments;
    for (const std::string &word : command)
        arguments.push_back(const_cast<char *>(word.c_str()));
    arguments.push_back(nullptr);
    // Before the fork: whoever waits for a line must not find the last run's.
    unlink(output_file.c_str());
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    int out = open(output_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execvp(arguments[0], arguments.data());
    std::perror(arguments[0]);
    _exit(127);
}

std::string contents_of(const std::string &path) {
    auto contents = read_text(path, 64U << 20);
    return contents ? *contents : std::string();
}

int free_port() {
    Fd listener(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto *generic = reinterpret_cast<sockaddr *>(&address);
    if (bind(listener.get(), generic, size) != 0 ||
        getsockname(listener.get(), generic, &size) != 0)
        return 0;
    return ntohs(address.sin_port);
}

} // namespace

std::string cgroup2_mount() {
    std::string found;
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    while (const mntent *entry = getmntent(mounts)) {
        if (std::strcmp(entry->mnt_type, "cgroup2") == 0)
            found = entry->mnt_dir;
    }
    endmntent(mounts);
    return found;
}

std::vector<std::string> rungs() {
    const char *given = std::getenv("TALLY_RUNGS");
    std::string_view rest = given != nullptr ? given : "traced,scanned";
    std::vector<std::string> all;
    while (!rest.empty())
        all.emplace_back(take_until(rest, ','));
    return all;
}

uint64_t boottime_ns() {
    timespec now = {};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void sleep_ms(unsigned milliseconds) {
    timespec time = {milliseconds / 1000, static_cast<long>(milliseconds % 1000) * 1'000'000};
    while (nanosleep(&time, &time) != 0 && errno == EINTR) {
    }
}

Outcome run(const std::vector<std::string> &command) {
    std::string file = fs::temp_directory_path().string() + "/tallystick-run-XXXXXX";
    Fd created(mkstemp(file.data()));
    pid_t pid = spawn(command, file);
    int status = 0;
    waitpid(pid, &status, 0);
    Outcome outcome{status_of(status), contents_of(file)};
    unlink(file.c_str());
    return outcome;
}

Program::Program(const std::vector<std::string> &command, const std::string &output_file)
    : pid_(spawn(command, output_file)), output_file_(output_file) {
}

Program &Program::operator=(Program &&other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(output_file_, other.output_file_);
    return *this;
}

Program::~Program() {
    if (pid_ > 0)
        stop(SIGKILL);
}

std::string Program::output() const {
    return contents_of(output_file_);
}

bool Program::says(const std::string &text, unsigned milliseconds) const {
    for (unsigned waited = 0; waited < milliseconds; waited += 20) {
        bool over = has_ended(); // before it is read: what it said last counts
        if (output().find(text) != std::string::npos)
            return true;
        if (over)
            break;
        sleep_ms(20);
    }
    return false;
}

bool Program::has_ended() const {
    siginfo_t info = {};
    return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid_;
}

int Program::stop(int signal) {
    int status = 0;
    kill(pid_, signal);
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status_of(status);
}

Lab::Lab() : port_(free_port()) {
    std::string pattern = fs::temp_directory_path().string() + "/tallystick-lab-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    pins_ = "/sys/fs/bpf/" + fs::path(directory_).filename().string();
    cgroups_ = cgroup2_mount() + "/" + fs::path(directory_).filename().string();
    EXPECT_TRUE(fs::create_directory(cgroups_)) << cgroups_;
    Outcome made =
        run({program("tally"), "keys", keys(), "--host", kHost, "--collector", "localhost"});
    EXPECT_EQ(made.status, 0) << made.output;
    write("tenants.d/lab.toml", "");
    write("collector.toml",
          "listen = \"127.0.0.1:" + std::to_string(port_) + "\"\n" + "state_directory = \"" +
              path("collector") + "\"\n" + "fleet_root = \"" + keys() + "/fleet-ca.pem\"\n" +
              "[tls]\nca = \"" + keys() + "/fleet-ca.pem\"\n" + "certificate = \"" + keys() +
              "/collector/tls.pem\"\n" + "key = \"" + keys() + "/collector/tls.key\"\n" +
              "[log]\norigin = \"example.com/fleet\"\n" + "ed25519_key = \"" + keys() +
              "/log/ed25519.key\"\n" + "ecdsa_key = \"" + keys() + "/log/ecdsa.key\"\n");
    write("tallyd.toml", agent_config("[[device]]\nname = \"stand-in\"\nnode = \"/dev/full\"\n"));
}

Lab::~Lab() {
    agent_ = Program();
    collector_ = Program();
    Outcome unloaded = run({program("tallyd"), "--config", path("tallyd.toml"), "--unload"});
    EXPECT_EQ(unloaded.status, 0) << unloaded.output;
    EXPECT_FALSE(fs::exists(pins_));
    for (const std::string &name : cgroup_names_)
        rmdir((cgroups_ + "/" + name).c_str());
    EXPECT_EQ(rmdir(cgroups_.c_str()), 0) << cgroups_ << ": " << std::strerror(errno);
    fs::remove_all(directory_);
}

std::string Lab::program(const std::string &name) {
    return (fs::read_symlink("/proc/self/exe").parent_path().parent_path() / name).string();
}

void Lab::write(const std::string &name, const std::string &contents) const {
    fs::create_directories(fs::path(path(name)).parent_path());
    Status written = replace_file(path(name), view(contents));
    EXPECT_TRUE(written) << name;
}

std::string Lab::agent_config(const std::string &extra, const std::string &recording) const {
    std::string host = keys() + "/hosts/" + kHost;
    return "host = \"" + std::string(kHost) + "\"\nwindow_seconds = 1\nidle_window_seconds = 1\n" +
           "state_directory = \"" + path("agent") + "\"\ntenants_directory = \"" +
           path("tenants.d") + "\"\n[recording]\npins = \"" + pins_ + "\"\n" + recording +
           "[signing]\nkey = \"" + host + "/signing.key\"\ncertificate = \"" + host +
           "/signing.pem\"\n[collector]\naddress = \"127.0.0.1:" + std::to_string(port_) +
           "\"\nname = \"localhost\"\nca = \"" + keys() + "/fleet-ca.pem\"\ncertificate = \"" +
           host + "/tls.pem\"\nkey = \"" + host + "/tls.key\"\nlog_keys = \"" + keys() +
           "/log.vkeys\"\n" + extra;
}

void Lab::start_collector() {
    collector_ = Program({program("tally-collector"), "--config", path("collector.toml")},
                         path("collector.out"));
    EXPECT_TRUE(collector_.says("listening")) << collector_.output();
}

void Lab::start_agent(const std::vector<std::string> &options) {
    std::vector<std::string> command = {program("tallyd"), "--config", path("tallyd.toml")};
    command.insert(command.end(), options.begin(), options.end());
    agent_ = Program(command, path("agent.out"));
    EXPECT_TRUE(agent_.says("recording", 60000)) << agent_.output();
}

void Lab::stop_all() {
    EXPECT_EQ(agent_.stop(SIGTERM), 0) << agent_.output();
    EXPECT_EQ(collector_.stop(SIGTERM), 0) << collector_.output();
}

std::string Lab::cgroup(const std::string &name) {
    std::string directory = cgroups_ + "/" + name;
    EXPECT_EQ(mkdir(directory.c_str(), 0755), 0) << directory << ": " << std::strerror(errno);
    cgroup_names_.push_back(name);
    return directory;
}

Outcome Lab::tally(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), program("tally"));
    arguments.insert(arguments.end(), {"--log-keys", keys() + "/log.vkeys", "--fleet-root",
                                       keys() + "/fleet-ca.pem"});
    return run(arguments);
}

std::map<std::string, std::map<std::string, std::string>> Lab::report() const {
    Outcome report = tally({"report", log(), "--csv"});
    EXPECT_LE(report.status, 1) << report.output;
    std::map<std::string, std::map<std::string, std::string>> rows;
    std::vector<std::string> names;
    std::string_view rest = report.output;
    while (!rest.empty()) {
        std::string_view line = take_until(rest, '\n');
        std::vector<std::string> cells;
        while (!line.empty())
            cells.emplace_back(take_until(line, ','));
        if (names.empty()) {
            names = cells;
            continue;
        }
        std::map<std::string, std::string> row;
        for (size_t i = 0; i < cells.size() && i < names.size(); i++)
            row[names[i]] = cells[i];
        rows[row["tenant"].empty() ? row["cgroup"] : row["tenant"]] = row;
    }
    return rows;
}

TenantProcess::TenantProcess(const std::string &cgroup_directory,
                             const std::function<void(Deed &)> &work) {
    void *shared =
        mmap(nullptr, sizeof(Deed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    deed_ = new (shared) Deed();
    pid_ = fork();
    if (pid_ != 0)
        return;
    {
        Fd procs(open((cgroup_directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
        if (::write(procs.get(), "0", 1) != 1)
            _exit(1);
    }
    work(*deed_);
    _exit(0);
}

TenantProcess::TenantProcess(TenantProcess &&other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(deed_, other.deed_);
}

TenantProcess::~TenantProcess() {
    kill_now();
    if (deed_ != nullptr)
        munmap(deed_, sizeof(Deed));
}

void TenantProcess::kill_now() {
    if (pid_ > 0)
        kill(pid_, SIGKILL);
    join();
}

void TenantProcess::join() {
    if (pid_ > 0)
        waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

} // namespace tally
