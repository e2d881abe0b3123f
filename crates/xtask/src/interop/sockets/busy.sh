# More pairs than processors are not slower than by TCP, but for noise; who waits takes no processor time.
cc -O2 -Wall -o busy busy.c
say "processor time of who waits for two seconds, in milliseconds: recv, poll, epoll_wait, select"
"$WEFT" run --stats ./busy idle 2>told | tee idle
tail -1 told
test "$(tail -1 told | awk '{print $3}')" = 8
awk '$1 >= 10 { exit 1 }' idle
for bytes in 64 16384; do
    for turn in 1 2 3; do
        taskset -c 0 ./busy rate 16 $bytes 1 >>"tcp.$bytes"
        taskset -c 0 "$WEFT" run ./busy rate 16 $bytes 1 >>"weft.$bytes"
    done
    middle() { sort -n "$1" | sed -n 2p; }
    say "16 pairs on one processor, $bytes bytes: $(middle "weft.$bytes") a second, by TCP $(middle "tcp.$bytes")"
    awk "BEGIN { exit !($(middle "weft.$bytes") >= 0.8 * $(middle "tcp.$bytes")) }"
done
