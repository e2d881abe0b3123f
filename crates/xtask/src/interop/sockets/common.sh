# What the scripts of `sockets` share. WEFT is the binary; ENDS says who runs under it: both, server, client or none.
set -euo pipefail
started=()
leftovers=()
trap 'for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "${leftovers[@]}"' EXIT
trap 'exit 124' TERM

# server PROGRAM ... and client PROGRAM ...: under Weft, or not. The server may be somebody else. In the background, whose process is to be
# ended, become_client.
server_as=()
server() { case $ENDS in both | server) exec "${server_as[@]}" "$WEFT" run "$@" ;; *) exec "${server_as[@]}" "$@" ;; esac }
become_client() { case $ENDS in both | client) exec "$WEFT" run "$@" ;; *) exec "$@" ;; esac }
client() (become_client "$@")

# Starts a server in the background.
start() { server "$@" >server.log 2>&1 & started+=($!); }

# Waits until somebody listens at a port of this machine. Nobody connects to find out: some servers take one client only.
listening() {
    for _ in $(seq 600); do
        if ss -Hltn "sport = :$1" | grep -q .; then return; fi
        sleep 0.1
    done
    echo "nobody listens at $1"; cat server.log; return 1
}

# carried PROGRAM: connections of it that were carried, now; nothing is said of a program without a page.
carried() {
    "$WEFT" top --json | python3 -c '
import json, sys
print(sum(page["carried"] for page in json.load(sys.stdin) if page["program"].startswith(sys.argv[1])))' "$1"
}

# The server's connections are carried if both ends are there for it, and never otherwise.
judge() {
    count=$(carried "$1")
    echo "carried: $count ($ENDS)"
    case $ENDS in both) test "$count" -gt 0 ;; *) test "$count" -eq 0 ;; esac
}

say() { echo "--- $*"; }
