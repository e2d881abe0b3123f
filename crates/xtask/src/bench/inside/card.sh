# The kernel's software RDMA device RXE on the network card NIC, with an address and packets as long as ours.
set -eu
modprobe -a rdma_rxe rdma_ucm ib_uverbs
ip link set "$NIC" mtu 9000 up
ip address add "$ADDRESS/24" dev "$NIC"
rdma link add "$RXE" type rxe netdev "$NIC"
end=$((SECONDS + 30))
# GID 1 is that of the IPv4 address.
until grep -q ffff:0a4e "/sys/class/infiniband/$RXE/ports/1/gids/1"; do
    ((SECONDS < end)) || exit 1
    sleep 0.1
done
