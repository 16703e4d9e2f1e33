// tally: options in, exit status out. The work is done by the other files of this directory.
#include "audit/account.h"
#include "audit/bundle.h"
#include "audit/concurrent.h"
#include "audit/copy.h"
#include "audit/explain.h"
#include "audit/idle.h"
#include "audit/json.h"
#include "audit/keys.h"
#include "audit/options.h"
#include "audit/prove.h"
#include "audit/report.h"
#include "audit/show.h"
#include "audit/timeline.h"
#include "audit/trace.h"
#include "audit/witness_server.h"
#include "base/durable.h"
#include "base/log.h"
#include "base/text.h"

#include <algorithm>
#include <cstdio>
#include <google/protobuf/stubs/logging.h>
#include <unistd.h>

namespace {

using namespace tally;

constexpr int kClean = 0;
constexpr int kFindings = 1;    // that nobody has explained
constexpr int kNotVerified = 2; // also usage errors

int fail(const Error &error) {
    Log("tally").error(error.message);
    return kNotVerified;
}

// A report that did not reach its file must not look like one that did.
Status write_out(ByteView bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size())
        return errno_error("write standard output");
    return ok();
}
int print(const std::string &text, int status) {
    if (auto written = write_out(view(text)); !written)
        return fail(written.error());
    if (std::fflush(stdout) != 0)
        return fail(errno_error("write standard output"));
    return status;
}

int keys(const Fleet &fleet) {
    if (auto made = make_fleet(fleet); !made)
        return fail(made.error());
    return print(fleet.directory + ": keys of a throw-away fleet: authority, collector " +
                     fleet.collector + ", log " + fleet.origin + ", " +
                     count_of(fleet.hosts.size(), "host") +
                     "\nFor demos and tests, not for production: all private keys lie in one "
                     "place, unencrypted.\n",
                 kClean);
}

// On a terminal, or where asked for; a line that is written over, and wiped at the end.
// A line on standard error that counts up; none if nobody is there to see it.
std::function<void(uint64_t, uint64_t)> progress(const Options &options, const char *done_what,
                                                 const char *what) {
    if (!options.progress && isatty(STDERR_FILENO) == 0)
        return {};
    return [=, last = uint64_t{1000}](uint64_t done, uint64_t size) mutable {
        uint64_t permille = size == 0 ? 1000 : done * 1000 / size;
        if (permille == last)
            return;
        last = permille;
        std::fprintf(stderr, "\r%s %llu of %llu %s, %llu.%llu %%", done_what,
                     static_cast<unsigned long long>(done), static_cast<unsigned long long>(size),
                     what, static_cast<unsigned long long>(permille / 10),
                     static_cast<unsigned long long>(permille % 10));
        if (done == size)
            std::fputs("\n", stderr);
    };
}

// What every command that reads a log begins with.
struct Begun {
    Trust trust;
    Source source;
    Question question;
    std::optional<Unsealer> unsealer;

    WalkOptions walk(const Options &options) {
        WalkOptions walk;
        walk.threads = options.threads;
        walk.progress = progress(options, "verified", "attestations");
        walk.limits.known_devices = options.table.ids();
        walk.unsealer = unsealer ? &*unsealer : nullptr;
        return walk;
    }
};
Result<Begun> begin(const Options &options) {
    if (options.log_keys.empty() || options.fleet_root.empty())
        return Error{"a log is verified with --log-keys and --fleet-root (try --help)"};
    auto question = options.question.parse();
    if (!question)
        return question.error();
    auto trust = Trust::load(options.log_keys, options.fleet_root);
    if (!trust)
        return trust.error();
    std::string directory = options.log;
    if (is_address(options.log)) {
        auto copy = copy_directory(options.log);
        if (!copy)
            return copy.error();
        directory = *copy;
        TALLY_TRY(copy_log(options.log, trust->log_keys, directory,
                           progress(options, "copied", "files")));
    }
    auto source = Source::open(directory);
    if (!source)
        return source.error();
    Begun begun{*std::move(trust), *std::move(source), *std::move(question), {}};
    if (!options.unseal.empty()) {
        auto unsealer = Unsealer::load(options.unseal, options.join_key);
        if (!unsealer)
            return unsealer.error();
        begun.unsealer = *std::move(unsealer);
    }
    return begun;
}

Result<std::set<By>> parse_all(const std::vector<std::string> &words) {
    std::set<By> all;
    for (const std::string &word : words) {
        auto by = parse_by(word);
        if (!by)
            return by.error();
        all.insert(*by);
    }
    return all;
}

bool is_of_devices(const std::vector<std::string> &by) {
    return std::all_of(by.begin(), by.end(), [](const std::string &word) {
        return word == "device" || word == "host" || word == "model" || word == "day";
    });
}

// Explained findings are shown, and need nobody's attention any more.
int status_of(const Account &account) {
    return open_among(account.findings) == 0 ? kClean : kFindings;
}

// Takes the account of a log, `also` looking on, and prints what `text_of` makes of it.
template <typename Text>
int account(const Options &options, Text text_of, Holds *holds = nullptr, bool of_devices = false) {
    auto by = parse_all(options.by);
    if (!by)
        return fail(by.error());
    auto opened = begin(options);
    if (!opened)
        return fail(opened.error());
    Visit also;
    if (holds != nullptr) {
        *holds = Holds(opened->question);
        also = [&](const Entry &entry) { holds->add(entry); };
    }
    UsageSums usage(opened->question, *by, options.focus);
    if (options.work)
        usage.bound_by(options.table);
    if (of_devices)
        usage.account_for_devices();
    auto taken =
        take_account(opened->source, opened->trust, std::move(usage), opened->walk(options), also);
    if (!taken)
        return fail(taken.error());
    Result<std::string> text = text_of(*taken, opened->question);
    if (!text)
        return fail(text.error());
    return print(*text, status_of(*taken));
}

int account(const Options &options, std::string (*text_of)(const Account &)) {
    return account(options, [&](const Account &taken, const Question &) -> Result<std::string> {
        return text_of(taken);
    });
}

int report(const Options &options) {
    if (options.work)
        return account(options, options.csv ? work_csv : work_table);
    if (options.focus)
        return account(options, report_focus);
    return account(
        options,
        [&](const Account &taken, const Question &) -> Result<std::string> {
            const auto &times = taken.usage.device_times();
            if (options.idle && (!times || !is_of_devices(options.by)))
                return Error{"--idle: a device's time is nobody's alone: ask without --tenant and "
                             "--parent, by device, host, model or day"};
            if (options.idle)
                return options.csv ? idle_csv(*times) : idle_table(*times);
            return options.csv    ? report_csv(taken)
                   : options.json ? report_json(taken)
                                  : report_table(taken);
        },
        nullptr, /*of_devices=*/true);
}

int verify_bundle(const Options &options) {
    std::string texts[2];
    for (auto [file, text] :
         {std::pair(&options.log_keys, &texts[0]), std::pair(&options.fleet_root, &texts[1])}) {
        if (file->empty())
            continue;
        auto read = read_text(*file);
        if (!read)
            return fail(read.error());
        *text = *std::move(read);
    }
    auto checked = check_bundle(options.log, texts[0], texts[1]);
    return checked ? print(bundle_text(*checked), kClean) : fail(checked.error());
}

int verify_since(const Options &options) {
    auto begun = begin(options);
    if (!begun)
        return fail(begun.error());
    auto taken =
        take_account_since(begun->source, begun->trust, options.state, begun->walk(options));
    if (!taken)
        return fail(taken.error());
    return print(verification_text(*taken), status_of(*taken));
}

int show_one(const Options &options) {
    auto selector = Selector::parse(options.which);
    if (!selector)
        return fail(selector.error());
    auto opened = begin(options);
    if (!opened)
        return fail(opened.error());
    auto page = show(opened->source, opened->trust, *selector, opened->walk(options));
    return page ? print(*page, kClean) : fail(page.error());
}

int trace_figure(const Options &options) {
    auto opened = begin(options);
    if (!opened)
        return fail(opened.error());
    auto page = trace(opened->source, opened->trust, opened->question, opened->walk(options));
    return page ? print(*page, kClean) : fail(page.error());
}

int prove_figure(const Options &options) {
    auto opened = begin(options);
    if (!opened)
        return fail(opened.error());
    auto log_keys = read_text(options.log_keys);
    auto fleet_root = read_text(options.fleet_root);
    if (!log_keys || !fleet_root)
        return fail(log_keys ? fleet_root.error() : log_keys.error());
    auto proved = prove(opened->source, opened->trust, opened->question, *log_keys, *fleet_root,
                        opened->walk(options), write_out);
    if (!proved)
        return fail(proved.error());
    return print("", kClean);
}

// What is to be sent: made now, or written before. Empty where it went to a file instead.
Result<Bytes> explanation_of(const Options &options) {
    if (!options.explain.submit.empty())
        return read_explanation_file(options.explain);
    auto begun = begin(options);
    if (!begun)
        return begun.error();
    auto taken = take_account(begun->source, begun->trust, UsageSums(), begun->walk(options));
    if (!taken)
        return taken.error();
    auto made = make_explanation(options.explain, *taken, begun->trust.fleet_root);
    if (!made || options.explain.output.empty())
        return made;
    TALLY_TRY(replace_file(options.explain.output, *made));
    return Bytes();
}

int explain(const Options &options) {
    if (auto usage = options.explain.check(options.log); !usage)
        return fail(usage.error());
    auto trust = Trust::load(options.log_keys, options.fleet_root);
    if (!trust)
        return fail(trust.error());
    auto entry = explanation_of(options);
    if (!entry)
        return fail(entry.error());
    if (entry->empty())
        return print(options.explain.output + ": written; send it with --submit\n", kClean);
    auto index = submit_explanation(options.explain, options.fleet_root, trust->log_keys, *entry);
    if (!index)
        return fail(index.error());
    return print("logged at index " + std::to_string(*index) +
                     "; the receipt is signed by the log's keys\n",
                 kClean);
}

int dispatch(const CLI::App &app, const Options &options) {
    if (app.got_subcommand("keys"))
        return keys(options.fleet);
    if (app.got_subcommand("witness")) {
        auto ended = serve_witness(options.witness, Log("tally witness"));
        return ended ? kClean : fail(ended.error());
    }
    if (app.got_subcommand("explain"))
        return explain(options);
    if (app.got_subcommand("show"))
        return show_one(options);
    if (app.got_subcommand("trace"))
        return trace_figure(options);
    if (app.got_subcommand("prove"))
        return prove_figure(options);
    if (app.got_subcommand("verify"))
        return is_bundle(options.log)  ? verify_bundle(options)
               : options.state.empty() ? account(options, verification_text)
                                       : verify_since(options);
    if (app.got_subcommand("findings"))
        return account(options, [&](const Account &taken, const Question &) -> Result<std::string> {
            return options.csv    ? findings_csv(taken.findings)
                   : options.json ? findings_json(taken)
                                  : findings_table(taken);
        });
    if (app.got_subcommand("hosts"))
        return account(options, options.csv ? hosts_csv : options.json ? hosts_json : hosts_table);
    Holds holds({});
    if (app.got_subcommand("timeline"))
        return account(
            options,
            [&](const Account &, const Question &question) {
                return timeline(holds, question, options.what);
            },
            &holds);
    if (app.got_subcommand("concurrent"))
        return account(
            options,
            [&](const Account &taken, const Question &) -> Result<std::string> {
                auto rows = concurrent(holds, options.by_parent);
                return options.csv    ? concurrent_csv(rows, options.by_parent)
                       : options.json ? concurrent_json(taken, rows, options.by_parent)
                                      : concurrent_table(rows, options.by_parent);
            },
            &holds);
    return report(options);
}

int run(int argc, char **argv) {
    CLI::App app("tally: verify a tallystick log and report who held which accelerator", "tally");
    app.set_version_flag("--version", "tally " TALLYSTICK_VERSION);
    app.footer("Exit status: 0 clean or all findings explained, 1 open findings, "
               "2 could not verify or wrong usage.");
    app.require_subcommand(1);
    Options options;
    add_commands(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        if (error.get_exit_code() == 0)
            return app.exit(error); // --help and --version
        return fail(Error{std::string(error.what()) + " (try --help)"});
    }
    if (!options.devices.empty()) {
        auto table = DeviceTable::load(options.devices);
        if (!table)
            return fail(table.error());
        options.table = *std::move(table);
    }
    return dispatch(app, options);
}

} // namespace

int main(int argc, char **argv) {
    // What protobuf cannot parse is said once, by us, with its place.
    google::protobuf::SetLogHandler(nullptr);
    try {
        return run(argc, argv);
    } catch (const std::exception &error) { // out of memory: no figure, no status that says clean
        std::fprintf(stderr, "tally: error: %s\n", error.what());
        return kNotVerified;
    }
}
