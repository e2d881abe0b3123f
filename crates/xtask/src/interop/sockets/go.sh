# Programs in Go make their own system calls, and those without the dynamic linker load nothing: both are on TCP, whoever runs at
# the other end.
mkdir -p www; head -c 3000000 /dev/urandom >www/large; echo small >www/small
start websocketd --address=127.0.0.1 --port=16450 --staticdir=www
listening 16450
say "a server in Go"
client curl -sS http://127.0.0.1:16450/large http://127.0.0.1:16450/small -o large -o small
cmp large www/large; cmp small www/small
client ab -q -k -n 500 -c 8 http://127.0.0.1:16450/small >ab.log
grep -q 'Failed requests: *0$' ab.log
say "a client in Go"
start python3 -m http.server --bind 127.0.0.1 --directory www 16451
listening 16451
client hey -n 400 -c 8 -t 60 http://127.0.0.1:16451/small >hey.log
grep -q '\[200\][[:space:]]*400 responses' hey.log
say "without the dynamic linker"
for direction in to from; do
    port=$((16452 + ${#direction}))
    if test $direction = to; then
        (server nc -l 127.0.0.1 $port </dev/null >got) & pid=$!
    else
        (server busybox nc -l -p $port </dev/null >got) & pid=$!
    fi
    started+=($pid)
    listening $port
    if test $direction = to; then client busybox nc 127.0.0.1 $port <www/large; else client nc -N 127.0.0.1 $port <www/large; fi
    wait $pid
    cmp got www/large
done
ENDS=none judge websocketd
ENDS=none judge hey
