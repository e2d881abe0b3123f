# The kernel's NVMe target does not have the subsystem at its portal over RDMA for PAUSE seconds: its controllers end.
cd /sys/kernel/config/nvmet/ports
for port in *; do
    [ "$(<"$port/addr_trtype")" != rdma ] || place=$port/subsystems
done
rm "$place/$NQN"
sleep "$PAUSE"
ln -s "/sys/kernel/config/nvmet/subsystems/$NQN" "$place/"
