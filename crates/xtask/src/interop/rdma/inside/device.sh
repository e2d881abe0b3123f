# The kernel's software RDMA device on the guest's network card. Set before it: LINK_MTU and LOSS in percent.
modprobe -a rdma_rxe rdma_ucm ib_uverbs sch_netem sch_ingress cls_matchall act_gact
ip link set eth0 mtu "$LINK_MTU"
if ! rdma link | grep -q rxe0; then rdma link add rxe0 type rxe netdev eth0; fi
wait_for 'rdma link show rxe0/1 | grep -q ACTIVE'
# GID 1 is that of the IPv4 address.
wait_for 'grep -q ffff:0a4d /sys/class/infiniband/rxe0/ports/1/gids/1'
ip route replace 239.0.0.0/8 dev eth0
for way in root ingress; do tc qdisc del dev eth0 $way 2>/dev/null || true; done
if [ "$LOSS" != 0 ]; then
    tc qdisc add dev eth0 root netem loss "$LOSS%"
    tc qdisc add dev eth0 ingress
    tc filter add dev eth0 parent ffff: matchall action pass random netrand drop $((100 / LOSS))
fi
