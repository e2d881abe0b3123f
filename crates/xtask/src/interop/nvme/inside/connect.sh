# Every combination of digests, and more queues than processors by having separate ones for writes.
exchange() {
    dd if=/dev/urandom of=sent bs=128k count=1 status=none
    for size in 512 4096 65536; do
        dd if=sent of="$DEV" bs=$size count=2 oflag=direct conv=notrunc status=none
        dd if="$DEV" of=received bs=$size count=2 iflag=direct status=none
        cmp -n $((2 * size)) sent received || fail "what was read is not what was written ($size bytes)"
    done
}
for options in "" -g -G "-g -G" "-i 1 -Q 16" "-i 4 -W 2" "-i 4 -W 2 -g -G"; do
    # shellcheck disable=SC2086
    connect $options
    exchange
    name=$(controllers)
    queues=$(<"/sys/class/nvme/$name/queue_count")
    echo "options '$options': $queues queues"
    case $options in *-W*) [ "$queues" = 5 ] || fail "four I/O queues were asked for" ;; esac
    leave
done
! dmesg | grep -E 'nvme.*(error|fail|timeout|digest)' || fail "the kernel complains"
