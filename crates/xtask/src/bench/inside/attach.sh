# Logs in to ADDRESS by KIND, and prints the disk that comes. Set before it, too: RXE, NQN, IQN and SRP.
set -eu -o pipefail
disks() { ls /sys/block | grep -E '^(sd[a-z]+|nvme[0-9]+n[0-9]+)$' || true; }
before=$(disks)
case $KIND in
nvme)
    modprobe nvme-rdma
    nvme connect -t rdma -a "$ADDRESS" -s 4420 -n "$NQN" -i 1
    ;;
iser)
    modprobe -a iscsi_tcp sd_mod ib_iser
    mkdir -p /etc/iscsi /run/lock/iscsi
    echo InitiatorName=iqn.2026-01.org.weft:client >/etc/iscsi/initiatorname.iscsi
    pgrep -x iscsid >/dev/null || { iscsid; sleep 3; }
    iscsiadm -m node -T "$IQN" -p "$ADDRESS:3260" -I iser -o new
    iscsiadm -m node -T "$IQN" -p "$ADDRESS:3260" -I iser --login
    ;;
srp)
    modprobe -a ib_srp sd_mod
    echo "id_ext=$SRP,ioc_guid=$SRP,dest=$ADDRESS:5555,ch_count=1" >"/sys/class/infiniband_srp/srp-$RXE-1/add_target"
    ;;
esac
end=$((SECONDS + 30))
until disk=$(disks | grep -vxF "$before") && [ -b "/dev/$disk" ]; do
    ((SECONDS < end)) || { dmesg | tail -5; exit 1; }
    sleep 0.1
done
echo none >"/sys/block/$disk/queue/scheduler"
echo "disk $disk"
