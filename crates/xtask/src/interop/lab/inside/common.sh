# What every script shares, whatever its protocol.
set -eu -o pipefail

fail() {
    echo "FAILED: $*"
    exit 1
}
# The kernel's log has nothing of what the protocol's COMPLAINTS are. Where packets are lost it may complain, and lose connections
# (rdma_rxe does, and registers memory twice when it goes back): what counts there is that everything comes back.
no_complaints() {
    [[ $(tc qdisc show) == *netem*loss* ]] || ! dmesg | grep -iE "$COMPLAINTS" || fail "the kernel complains"
}
wait_for() { # CONDITION [SECONDS]
    local end=$((SECONDS + ${2:-30}))
    until eval "$1" >/dev/null 2>&1; do
        ((SECONDS < end)) || fail "waited in vain for: $1"
        sleep 0.1
    done
}
