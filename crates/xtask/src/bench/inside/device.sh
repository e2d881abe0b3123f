# The kernel's software RDMA device, with packets as long as ours.
set -eu
modprobe -a rdma_rxe ib_uverbs
ip link set eth0 mtu 9000
rdma link add rxe0 type rxe netdev eth0
end=$((SECONDS + 30))
# GID 1 is that of the IPv4 address.
until grep -q ffff:0a4d /sys/class/infiniband/rxe0/ports/1/gids/1; do
    ((SECONDS < end)) || exit 1
    sleep 0.1
done
