# bash completion for tally(1); written by config/tally-manual.
_tally() {
    local word=${COMP_WORDS[COMP_CWORD]} options=
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "keys verify report findings explain hosts timeline concurrent show trace prove witness --help --version" -- "$word")
        return
    fi
    case ${COMP_WORDS[1]} in
    keys) options="--auditor --collector --expired --help --host --origin " ;;
    verify) options="--devices --fleet-root --help --log-keys --progress --state --threads " ;;
    report) options="--by --csv --device --devices --fleet-root --focus --from --help --host --idle --join-key --json --log-keys --parent --progress --tenant --threads --to --unseal --work " ;;
    findings) options="--csv --devices --fleet-root --help --join-key --json --log-keys --progress --threads --unseal " ;;
    explain) options="--certificate --collector --fleet-root --help --key --log-keys --output --progress --reference --submit --threads --tls-certificate --tls-key --tls-root --why --withdraw " ;;
    hosts) options="--csv --devices --fleet-root --help --json --log-keys --progress --threads " ;;
    timeline) options="--devices --fleet-root --from --help --join-key --log-keys --progress --threads --to --unseal " ;;
    concurrent) options="--by-parent --csv --device --devices --fleet-root --from --help --host --join-key --json --log-keys --parent --progress --tenant --threads --to --unseal " ;;
    show) options="--devices --fleet-root --help --join-key --log-keys --progress --threads --unseal " ;;
    trace) options="--device --devices --fleet-root --from --help --host --join-key --log-keys --parent --progress --tenant --threads --to --unseal " ;;
    prove) options="--device --devices --fleet-root --from --help --host --log-keys --parent --progress --tenant --threads --to " ;;
    witness) options="--help --key --listen --log-keys --name --state " ;;
    esac
    case $word in
    -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    esac
}
complete -o filenames -F _tally tally
