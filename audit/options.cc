#include "audit/options.h"

namespace tally {

namespace {

constexpr const char *kTrust = " --log-keys log.vkeys --fleet-root fleet-ca.pem";

void add_keys(CLI::App &app, Fleet &fleet) {
    CLI::App &command = *app.add_subcommand(
        "keys", "Make the keys and certificates of a throw-away fleet, for demos and tests");
    command.footer("Example: tally keys build/keys --host gpu1.example --collector localhost\n"
                   "Exit status: 0 made, 2 could not.");
    command.add_option("DIR", fleet.directory, "directory to fill")->required();
    command.add_option("--host", fleet.hosts, "DNS name of a host; several")->required();
    command.add_option("--collector", fleet.collector, "DNS name of the collector")->required();
    command.add_option("--auditor", fleet.auditor, "DNS name of who explains findings")
        ->capture_default_str();
    command.add_option("--origin", fleet.origin, "the log's name, a URL without scheme")
        ->capture_default_str();
    command.add_flag("--expired", fleet.expired, "certificates that ended an hour ago");
}

CLI::App &add_command(CLI::App &app, const char *name, const char *what, const std::string &words,
                      Options &options, bool keys_required = true) {
    CLI::App &command = *app.add_subcommand(name, what);
    command.footer("Example: tally " + std::string(name) + " /srv/log" + words + kTrust +
                   "\nExit status: 0 clean or all findings explained, 1 open findings, "
                   "2 could not verify or wrong usage.");
    command
        .add_option(
            "LOG", options.log,
            keys_required
                ? "the log's directory, a copy of it, or its address (https://...)"
                : "the log's directory, a copy of it, its address (https://...), or a bundle")
        ->required();
    auto *keys =
        command.add_option("--log-keys", options.log_keys, "the log's public keys, vkey lines");
    auto *root =
        command.add_option("--fleet-root", options.fleet_root, "the fleet's authority, PEM");
    if (keys_required) {
        keys->required();
        root->required();
    }
    command.add_option("--devices", options.devices,
                       "device table to use in place of the one that is built in, TOML");
    command.add_option("--threads", options.threads, "that verify signatures; 0: one a core")
        ->capture_default_str();
    command.add_flag("--progress", options.progress,
                     "say on standard error how far it is, also if that is no terminal");
    return command;
}

void add_question(CLI::App &command, QuestionWords &question) {
    command.add_option("--from", question.from,
                       "only windows that begin then or later: 2026-11-23[T18:50:46Z], UTC");
    command.add_option("--to", question.to, "only windows that begin before then");
    command.add_option("--tenant", question.rest.tenant, "only this tenant's use");
    command.add_option("--parent", question.rest.parent,
                       "only that of tenants who buy through it, at any remove");
    command.add_option("--host", question.rest.host, "only on this host");
    command.add_option("--device", question.rest.device, "only of this device, by id or UUID");
}

// The forms for programs; neither given, a table for people.
struct Forms {
    CLI::Option *csv;
    CLI::Option *json;
};
Forms add_forms(CLI::App &command, Options &options) {
    auto *csv = command.add_flag("--csv", options.csv, "comma-separated values, RFC 4180");
    return {csv, command.add_flag("--json", options.json, "one JSON object")->excludes(csv)};
}

void add_unseal(CLI::App &command, Options &options) {
    auto *unseal = command.add_option("--unseal", options.unseal,
                                      "the auditor's private key, PEM: show names for tokens");
    command
        .add_option("--join-key", options.join_key,
                    "the fleet's join key: prove that each token is its name's")
        ->needs(unseal);
}

void add_report(CLI::App &app, Options &options) {
    CLI::App &report =
        add_command(app, "report", "Verify a log, then print who held which device for how long",
                    " --by tenant,day --from 2026-11-01", options);
    add_question(report, options.question);
    report
        .add_option("--by", options.by,
                    "rows by any of tenant, parent, payer, host, device, model, day, workload")
        ->delimiter(',');
    auto [csv, json] = add_forms(report, options);
    add_unseal(report, options);
    CLI::Option *focus =
        report.add_flag("--focus", options.focus, "CSV with the column names of FinOps FOCUS")
            ->excludes(csv)
            ->excludes(json);
    CLI::Option *work =
        report
            .add_flag("--work", options.work,
                      "what could have been computed at most, and each source's evidence of work")
            ->excludes(focus)
            ->excludes(json);
    report
        .add_flag("--idle", options.idle,
                  "where each device's time went, idle too; by device, host, model or day")
        ->excludes(work)
        ->excludes(focus)
        ->excludes(json);
}

void add_when(CLI::App &app, Options &options) {
    CLI::App &timeline =
        add_command(app, "timeline", "Verify a log, then draw who held what, and when",
                    " gpu1.example", options);
    timeline.add_option("WHAT", options.what, "a host, a device's id, or a tenant")->required();
    timeline.add_option("--from", options.question.from, "from then on: 2026-11-23[T18:50:46Z]");
    timeline.add_option("--to", options.question.to, "up to then");
    add_unseal(timeline, options);
    CLI::App &concurrent = add_command(
        app, "concurrent",
        "Verify a log, then print how many devices each tenant held at once, and for how long",
        " --by-parent", options);
    concurrent.add_flag("--by-parent", options.by_parent,
                        "all tenants of one parent as one, at each remove");
    add_question(concurrent, options.question);
    add_forms(concurrent, options);
    add_unseal(concurrent, options);
}

void add_evidence(CLI::App &app, Options &options) {
    CLI::App &show =
        add_command(app, "show", "Verify a log, then print one attestation or explanation",
                    " gpu1.example 12", options);
    show.add_option("WHICH", options.which, "INDEX in the log, or HOST and SEQUENCE")
        ->required()
        ->expected(1, 2);
    add_unseal(show, options);
    CLI::App &trace =
        add_command(app, "trace", "Verify a log, then print the attestations behind a figure",
                    " --tenant acme --host gpu1.example", options);
    add_question(trace, options.question);
    add_unseal(trace, options);
    CLI::App &prove = add_command(
        app, "prove", "Verify a log, then write a bundle that a third party checks without it",
        " --tenant acme --from 2026-11-01 --to 2026-12-01", options);
    prove.footer("Example: tally prove /srv/log --tenant acme --from 2026-11-01 --to 2026-12-01" +
                 std::string(kTrust) +
                 " > acme.bundle\nExit status: 0 written, 2 could not verify, nothing to prove or "
                 "wrong usage.");
    add_question(prove, options.question);
}

void add_explain(CLI::App &app, Options &options) {
    CLI::App &command = *app.add_subcommand(
        "explain", "Say why a finding is what it is: signed, and logged for all to see");
    ExplainOptions &explain = options.explain;
    command.footer(
        "Example: tally explain /srv/log gap@201 --why \"power maintenance\" --reference OPS-1234"
        " --certificate signing.pem --key signing.key --collector collector.example:7443"
        " --tls-certificate tls.pem --tls-key tls.key" +
        std::string(kTrust) +
        "\nWhere the signing key's machine reaches no collector: --output FILE there instead of"
        " --collector, then elsewhere:"
        "\n  tally explain --submit FILE --collector collector.example:7443"
        " --tls-certificate tls.pem --tls-key tls.key" +
        kTrust + "\nExit status: 0 logged or written, 2 could not.");
    command.add_option("LOG", options.log, "the log's directory, a copy of it, or its address");
    command.add_option("FINDING", explain.findings,
                       "what to explain, as `tally findings` names it; several");
    command.add_option("--log-keys", options.log_keys, "the log's public keys, vkey lines")
        ->required();
    command.add_option("--fleet-root", options.fleet_root, "the fleet's authority, PEM")
        ->required();
    command.add_option("--why", explain.why, "one line of printable ASCII, at most 1,000 bytes");
    command.add_option("--reference", explain.reference, "such as a ticket, at most 200 bytes");
    command.add_flag("--withdraw", explain.withdraw,
                     "take back what explained them: they are open again");
    command.add_option("--certificate", explain.certificate,
                       "of the key that signs explanations, PEM");
    command.add_option("--key", explain.key, "that key, PEM");
    auto *output = command.add_option("--output", explain.output, "write it there, send nothing");
    auto *submit = command.add_option("--submit", explain.submit, "send one that was written");
    command.add_option("--collector", explain.collector, "HOST:PORT to send it to")
        ->excludes(output);
    submit->excludes(output);
    command.add_option("--tls-certificate", explain.tls_certificate,
                       "to speak to the collector with, PEM");
    command.add_option("--tls-key", explain.tls_key, "its key, PEM");
    command.add_option("--tls-root", explain.tls_root,
                       "the collector's authority, PEM; the fleet's if it is not given");
    command.add_option("--threads", options.threads, "that verify signatures; 0: one a core")
        ->capture_default_str();
    command.add_flag("--progress", options.progress,
                     "say on standard error how far it is, also if that is no terminal");
}

void add_witness(CLI::App &app, WitnessOptions &options) {
    CLI::App &command = *app.add_subcommand(
        "witness", "Cosign the checkpoints of logs that only grow (C2SP tlog-witness)");
    command.footer("Example: tally witness --listen 127.0.0.1:7480 --state /var/lib/tally-witness"
                   " --name witness.example --key witness.key --log-keys log.vkeys\n"
                   "Make the key with: openssl genpkey -algorithm ed25519 -out witness.key\n"
                   "Exit status: 0 stopped by SIGTERM or SIGINT, 2 could not serve.");
    command.add_option("--listen", options.listen, "ADDRESS:PORT; TLS is a proxy's work")
        ->capture_default_str();
    command.add_option("--state", options.state, "directory for what was cosigned last")
        ->required();
    command.add_option("--name", options.name, "the witness's name in its cosignatures")
        ->required();
    command.add_option("--key", options.key, "its Ed25519 key, PEM")->required();
    command.add_option("--log-keys", options.log_keys, "a log's public keys, vkey lines; several")
        ->required();
}

} // namespace

void add_commands(CLI::App &app, Options &options) {
    add_keys(app, options.fleet);
    CLI::App &verify =
        add_command(app, "verify",
                    "Verify a log or a bundle, all of it, and say what an auditor should look at",
                    "", options, /*keys_required=*/false);
    verify.add_option("--state", options.state,
                      "go on from what this file says was verified, and write it anew");
    add_report(app, options);
    CLI::App &findings =
        add_command(app, "findings", "Verify a log, then print what an auditor should look at",
                    " --csv", options);
    add_forms(findings, options);
    add_explain(app, options);
    add_unseal(findings, options);
    CLI::App &hosts = add_command(
        app, "hosts", "Verify a log, then print each host's record and coverage", "", options);
    add_forms(hosts, options);
    add_when(app, options);
    add_evidence(app, options);
    add_witness(app, options.witness);
}

} // namespace tally
