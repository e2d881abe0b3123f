# More pairs than processors are not slower than by TCP, but for noise; who waits takes no processor time.
cc -O2 -Wall -o busy busy.c
say "processor time of who waits for two seconds, in milliseconds: recv, poll, epoll_wait, select"
"$WEFT" run --stats ./busy idle 2>told | tee idle
tail -1 told
test "$(tail -1 told | awk '{print $3}')" = 8
awk '$1 >= 10 { exit 1 }' idle
middle() { sort -n "$1" | sed -n 2p; }
compare() {
    rm -f tcp weft
    for turn in 1 2 3; do
        taskset -c 0 ./busy rate 16 $bytes 1 >>tcp
        taskset -c 0 "$WEFT" run ./busy rate 16 $bytes 1 >>weft
    done
    say "16 pairs on one processor, $bytes bytes: $(middle weft) a second, by TCP $(middle tcp)"
    awk "BEGIN { exit !($(middle weft) >= 0.8 * $(middle tcp)) }"
}
for bytes in 64 16384; do
    # Others may be busy on this processor in the meantime.
    compare || compare || compare
done
