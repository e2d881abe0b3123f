# Round trips and floods of counted messages: none lost, none twice, none out of order.
play() {
    client sockperf "$@" --tcp -i 127.0.0.1 -p $port >perf.log 2>&1 || { cat perf.log; return 1; }
    grep -q 'dropped messages = 0; # duplicated messages = 0; # out-of-order messages = 0' perf.log || grep -q 'Message Rate' perf.log
}
# It has no room for more than 600,000 round trips a second, and there are more: so it is told how many to make.
say "one connection"
port=16421
start sockperf server --tcp -i 127.0.0.1 -p $port
listening $port
play ping-pong -t 1 -m 64 --mps 100000
play under-load -t 1 -m 200 --mps 20000
play throughput -t 1 -m 1400
say "a server with a set of two"
port=16422
echo "T:127.0.0.1:$port"$'\n'"T:127.0.0.1:16423" >feed
start sockperf server -f feed -F epoll
listening $port
play ping-pong -t 1 -m 9000 --mps 100000 --data-integrity
judge sockperf
