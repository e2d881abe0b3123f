# A server that sleeps in epoll, a client that waits in read, and one with fifty connections.
start redis-server --port 16379 --bind 127.0.0.1 --save '' --appendonly no
listening 16379
cli() { client redis-cli -p 16379 "$@"; }
test "$(cli set key value)" = OK
test "$(cli get key)" = value
say "a megabyte, and a thousand commands of one client"
head -c 1000000 /dev/urandom | base64 -w0 >large
cli -x set large <large >/dev/null
cli --raw get large | head -c "$(stat -c %s large)" | cmp - large
for index in $(seq 1000); do echo "incr count"; done | cli >/dev/null
test "$(cli get count)" = 1000
say "many clients"
client redis-benchmark -p 16379 -q -n 20000 -t set,get,lrange_100 >bench.log
client redis-benchmark -p 16379 -q -n 40000 -P 16 -t set,get >>bench.log
grep -q GET bench.log
judge redis-server
