# A server with a thread for each of its sets; clients of the binary protocol and of that of lines.
start memcached -l 127.0.0.1 -p 16410 -U 0 -t 4 $( ((EUID == 0)) && echo "-u root")
listening 16410
export MEMCACHED_SERVERS=127.0.0.1:16410
say "half a megabyte"
head -c 500000 /dev/urandom >large
client memccp large
client memccat --file=got large
cmp large got
say "both protocols, request by request"
client memccapable -h 127.0.0.1 -p 16410 >capable.log 2>&1
say "many clients"
for load in set get mget; do
    client memcslap --servers=$MEMCACHED_SERVERS --test=$load --concurrency=8 --execute-number=500 >>slap.log
done
client memcslap --servers=$MEMCACHED_SERVERS --test=get --concurrency=8 --execute-number=500 --non-blocking --tcp-nodelay --binary >>slap.log
test "$(grep -c "Time total" slap.log)" -ge 4
client memcstat --servers=$MEMCACHED_SERVERS >stat.log
grep -q curr_items stat.log
judge memcached
