#include "audit/witness_server.h"

#include "audit/witness.h"
#include "base/durable.h"

#include <csignal>
#include <ctime>
#include <memory>
#include <microhttpd.h>
#include <netdb.h>

namespace tally {

namespace {

constexpr unsigned kMostConnections = 64;
constexpr unsigned kTimeoutSeconds = 30;

struct Service {
    Witness &witness;
    const Log &log;
};

Witness::Answer answer(const Service &service, std::string_view method, std::string_view path,
                       const std::string &body) {
    std::string type = "text/plain; charset=utf-8";
    if (!path.ends_with("/add-checkpoint"))
        return {404, type, "only add-checkpoint is here\n"};
    if (method != "POST")
        return {405, type, "add-checkpoint is a POST\n"};
    auto made = service.witness.add_checkpoint(body, static_cast<uint64_t>(std::time(nullptr)));
    if (!made) {
        service.log.error(made.error().message);
        return {500, type, "the witness cannot keep its state\n"};
    }
    // Misbehaviour, or a log that was restored from an old copy: worth a line each time.
    if (made->status == 422 || (made->status == 409 && made->type == type))
        service.log.warning("refused a checkpoint: " + printable(made->body));
    return *std::move(made);
}

// Called when the headers are there, for each piece of the body, and at its end.
MHD_Result on_request(void *context, MHD_Connection *connection, const char *path,
                      const char *method, const char * /*version*/, const char *data,
                      size_t *data_size, void **request) {
    if (*request == nullptr) {
        *request = new std::string();
        return MHD_YES;
    }
    auto &body = *static_cast<std::string *>(*request);
    if (*data_size > 0) {
        if (body.size() <= Witness::kMostRequest) // one piece more, and add_checkpoint refuses it
            body.append(data, *data_size);
        *data_size = 0;
        return MHD_YES;
    }
    Witness::Answer made = answer(*static_cast<const Service *>(context), method, path, body);
    MHD_Response *response =
        MHD_create_response_from_buffer(made.body.size(), made.body.data(), MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, made.type.c_str());
    MHD_Result queued = MHD_queue_response(connection, made.status, response);
    MHD_destroy_response(response);
    return queued;
}

void on_completed(void * /*context*/, MHD_Connection * /*connection*/, void **request,
                  MHD_RequestTerminationCode /*how*/) {
    delete static_cast<std::string *>(*request);
    *request = nullptr;
}

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Result<Addresses> resolve(const std::string &listen) {
    size_t colon = listen.rfind(':');
    if (colon == std::string::npos)
        return Error{"--listen must be ADDRESS:PORT"};
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo *found = nullptr;
    int failed = getaddrinfo(listen.substr(0, colon).c_str(), listen.substr(colon + 1).c_str(),
                             &hints, &found);
    if (failed != 0)
        return Error{"--listen " + listen + ": " + gai_strerror(failed)};
    return Addresses(found, freeaddrinfo);
}

Result<Witness> open_witness(const WitnessOptions &options) {
    auto pem = read_text(options.key);
    if (!pem)
        return pem.error();
    auto key = SigningKey::from_pem(*pem);
    if (!key)
        return Error{options.key + ": " + key.error().message};
    std::vector<std::vector<NoteKey>> logs;
    for (const std::string &path : options.log_keys) {
        auto text = read_text(path);
        if (!text)
            return text.error();
        auto keys = parse_vkeys(*text);
        if (!keys)
            return Error{path + ": " + keys.error().message};
        logs.push_back(*std::move(keys));
    }
    return Witness::open(options.state, {options.name, *std::move(key)}, logs);
}

} // namespace

Status serve_witness(const WitnessOptions &options, const Log &log) {
    auto witness = open_witness(options);
    if (!witness)
        return witness.error();
    auto addresses = resolve(options.listen);
    if (!addresses)
        return addresses.error();
    // Before any thread starts, so that all inherit it.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);

    Service service{*witness, log};
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD;
    if ((*addresses)->ai_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    std::unique_ptr<MHD_Daemon, decltype(&MHD_stop_daemon)> daemon(
        MHD_start_daemon(flags, 0, nullptr, nullptr, on_request, &service, MHD_OPTION_SOCK_ADDR,
                         (*addresses)->ai_addr, MHD_OPTION_CONNECTION_LIMIT, kMostConnections,
                         MHD_OPTION_CONNECTION_TIMEOUT, kTimeoutSeconds,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, nullptr, MHD_OPTION_END),
        MHD_stop_daemon);
    if (!daemon)
        return Error{"cannot listen on " + options.listen +
                     ": is the address this machine's, and is no other program listening there?"};
    const MHD_DaemonInfo *bound = MHD_get_daemon_info(daemon.get(), MHD_DAEMON_INFO_BIND_PORT);
    log.notice("listening on " + options.listen.substr(0, options.listen.rfind(':') + 1) +
               std::to_string(bound->port) + ", " + witness->vkey());
    int signal = 0;
    sigwait(&signals, &signal);
    return ok();
}

} // namespace tally
