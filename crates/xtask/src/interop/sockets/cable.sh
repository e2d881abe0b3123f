# What the scripts of two hosts, or two containers, share: `options` are those of `weft run`.
# There are two network namespaces with a cable between them. The client's is this one; the server is on the other.
if test -z "${INSIDE:-}"; then
    apart=(unshare --net)
    test "$(id -u)" = 0 || apart=(unshare --user --map-root-user --net)
    INSIDE=1 exec "${apart[@]}" bash -c "$BASH_EXECUTION_STRING"
fi
unshare --net sleep 600 & other=$!
started+=($other)
until test "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)"; do sleep 0.05; done
there() { nsenter --target $other --net "$@"; }
ip link set lo up
there ip link set lo up
ip link add cable type veth peer name cable netns $other
ip address add 10.91.0.1/24 dev cable
there ip address add 10.91.0.2/24 dev cable
ip link set cable up
there ip link set cable up

python=$(python3 -c 'import sys; print(sys.executable)')
weft() { exec "$WEFT" run "${options[@]}" "$@"; }
# In the background, where it becomes the program.
on_client() { case $ENDS in both | client) weft "$@" ;; *) exec "$@" ;; esac; }
in_there=(nsenter --target $other --net)
# A server on the other host, at a port.
serve() {
    if test "$ENDS" = both || test "$ENDS" = server; then
        "${in_there[@]}" "$WEFT" run "${options[@]}" "$python" hosts.py serve 10.91.0.2 "$1" >"served.$1" 2>&1 &
    else
        "${in_there[@]}" "$python" hosts.py serve 10.91.0.2 "$1" >"served.$1" 2>&1 &
    fi
    server=$!
    started+=($server)
    for _ in $(seq 600); do
        if there ss -Hltn "sport = :$1" | grep -q .; then return; fi
        sleep 0.1
    done
    echo "nobody listens at $1"; return 1
}
# Waits until the server has a connection.
until_connected() {
    for _ in $(seq 600); do
        if there ss -Htn state established "sport = :16701" | grep -q .; then return; fi
        sleep 0.1
    done
    echo "nobody connects"; return 1
}
# Waits until a connection is carried that was not before.
until_carried() {
    for _ in $(seq 600); do
        if test "$(carried python)" -gt "$1"; then return; fi
        sleep 0.1
    done
    echo "nothing is carried"; return 1
}
# What programs on both sides say to each other, and what is left of it when one is killed.
converse() {
    serve 16701
    say "questions, and four megabytes both ways"
    on_client "$python" hosts.py talk 10.91.0.2 16701 & client=$!
    started+=($client)
    if test "$ENDS" = both; then until_carried 1; else sleep 1; fi
    touch stop
    wait $client
    rm stop
    judge python
    grep -q ended served.16701

    say "a client that is killed"
    before=$(carried python)
    on_client "$python" hosts.py talk 10.91.0.2 16701 & client=$!
    if test "$ENDS" = both; then until_carried "$before"; else until_connected; fi
    kill -KILL $client
    wait $client || true
    until test "$(grep -c ended served.16701)" = 2; do sleep 0.1; done

    say "a server that is killed"
    before=$(carried python)
    on_client "$python" hosts.py outlive 10.91.0.2 16701 >outlived & client=$!
    started+=($client)
    if test "$ENDS" = both; then until_carried "$before"; else until_connected; fi
    kill -KILL $server
    wait $client
    grep -q gone outlived
}
