# What every script shares, whatever its protocol.
set -eu -o pipefail

fail() {
    echo "FAILED: $*"
    exit 1
}
wait_for() { # CONDITION [SECONDS]
    local end=$((SECONDS + ${2:-30}))
    until eval "$1" >/dev/null 2>&1; do
        ((SECONDS < end)) || fail "waited in vain for: $1"
        sleep 0.1
    done
}
