# Four I/O queues (two for reads and two for writes, where there are two processors), keep-alives that keep, and a host that finds its disk again after a reset.
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
