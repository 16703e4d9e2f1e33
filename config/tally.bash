# bash completion for tally(1); written by config/tally-manual.
_tally() {
    local word=${COMP_WORDS[COMP_CWORD]} options=
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "keys verify report findings explain hosts timeline concurrent show trace prove witness --help --version" -- "$word")
        return
    fi
    case ${COMP_WORDS[1]} in
    keys) options="--auditor --collector --expired --help --host --origin " ;;
    verify) options="--fleet-root --help --log-keys --progress --state --threads " ;;
    report) options="--by --csv --device --fleet-root --focus --from --help --host --json --log-keys --parent --progress --tenant --threads --to " ;;
    findings) options="--csv --fleet-root --help --json --log-keys --progress --threads " ;;
    explain) options="--certificate --collector --fleet-root --help --key --log-keys --output --progress --reference --submit --threads --tls-certificate --tls-key --tls-root --why --withdraw " ;;
    hosts) options="--csv --fleet-root --help --json --log-keys --progress --threads " ;;
    timeline) options="--fleet-root --from --help --join-key --log-keys --progress --threads --to --unseal " ;;
    concurrent) options="--by-parent --csv --device --fleet-root --from --help --host --join-key --json --log-keys --parent --progress --tenant --threads --to --unseal " ;;
    show) options="--fleet-root --help --join-key --log-keys --progress --threads --unseal " ;;
    trace) options="--device --fleet-root --from --help --host --join-key --log-keys --parent --progress --tenant --threads --to --unseal " ;;
    prove) options="--device --fleet-root --from --help --host --log-keys --parent --progress --tenant --threads --to " ;;
    witness) options="--help --key --listen --log-keys --name --state " ;;
    esac
    case $word in
    -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    esac
}
complete -o filenames -F _tally tally
