# Four I/O queues (two for reads and two for writes, where there are two processors), keep-alives that keep, and a host that finds its disk again after a reset.
# And queues as short as the host asks for, and as long as ours may be.
for sizes in "16 15" "1024 127"; do
    read -r entries last <<<"$sizes"
    connect -i 1 -Q "$entries"
    name=$(controllers)
    [ "$(<"/sys/class/nvme/$name/sqsize")" = "$last" ] || fail "$entries entries were asked for"
    fio --name=queue --filename="$DEV" --direct=1 --ioengine=libaio --iodepth=256 --rw=randwrite --bs=4k --size=8m \
        --verify=crc32c --verify_fatal=1 --output-format=terse >report || fail "$(cat report)"
    leave
done
connect -i 4 -W 2 -k 2
name=$(controllers)
[ "$(<"/sys/class/nvme/$name/queue_count")" = 5 ] || fail "four I/O queues were asked for"
[ "$(<"/sys/class/nvme/$name/transport")" = rdma ] || fail "the transport is another"
sleep 5
[ "$(<"/sys/class/nvme/$name/state")" = live ] || fail "it did not stay connected"
no_complaints
nvme reset "/dev/$name"
wait_for "[ \$(</sys/class/nvme/$name/state) = live ]"
dd if="$DEV" of=/dev/null bs=64k count=4 iflag=direct status=none
leave
