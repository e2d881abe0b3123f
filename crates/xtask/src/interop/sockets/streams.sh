# Long streams: one way, the other way, several at once.
head -c $((64 << 20)) /dev/urandom >sent
for direction in to from; do
    say "netcat: $direction the server"
    port=$((16381 + ${#direction}))
    if test $direction = to; then
        (server nc -N -l 127.0.0.1 $port </dev/null >got) & pid=$!
    else
        (server nc -N -l 127.0.0.1 $port <sent >/dev/null) & pid=$!
    fi
    started+=($pid)
    listening $port
    if test $direction = to; then
        client nc -N 127.0.0.1 $port <sent
    else
        client nc 127.0.0.1 $port </dev/null >got
    fi
    wait $pid
    cmp sent got
done
say "iperf3: four at once, both ways"
start iperf3 -s -B 127.0.0.1 -p 16388
listening 16388
client iperf3 -c 127.0.0.1 -p 16388 -n 64M -P 4 >iperf.log
# It may take a moment until the server is free again; then it listens as before.
for attempt in 1 2 3 4 5; do
    if client iperf3 -c 127.0.0.1 -p 16388 -n 64M -P 4 -R >>iperf.log; then break; fi
    sleep 1
done
test "$(grep -c 'iperf Done' iperf.log)" = 2
judge iperf3
