# Types COMMANDS, which must bring a disk of one GiB that keeps what is written to it, and lets it go.
sudo() { "$@"; }
disks() { lsblk --nodeps --noheadings --bytes --output NAME,SIZE | awk '$2 == 1073741824 { print $1 }'; }
# What a distribution has done: the initiator's daemon runs, the drivers for disks are there, and the device may be made by hand.
modprobe -a sd_mod iscsi_tcp
mkdir -p /etc/iscsi /run/lock/iscsi
[ -e /etc/iscsi/initiatorname.iscsi ] || echo InitiatorName=iqn.2026-01.org.weft:guest >/etc/iscsi/initiatorname.iscsi
pgrep -x iscsid >/dev/null || iscsid
wait_for 'pgrep -x iscsid'
# A machine without a card.
case $COMMANDS in *'rdma link add'*) rdma link delete rxe0 ;; esac
device() { wait_for 'grep -q ffff:0a4d /sys/class/infiniband/rxe0/ports/1/gids/1'; }

while read -r command; do
    echo "$command"
    eval "$command" </dev/null
    device
done <<<"$COMMANDS"
wait_for '[ -n "$(disks)" ]'
DEV=/dev/$(disks)
wait_for '[ -b $DEV ]'
dd if=/dev/urandom of=sent bs=64k count=4 status=none
dd if=sent of="$DEV" bs=64k oflag=direct status=none
dd if="$DEV" bs=64k count=4 iflag=direct status=none | cmp - sent

nvme disconnect-all
if iscsiadm -m session >/dev/null 2>&1; then iscsiadm -m node -u; iscsiadm -m node -o delete; fi
for port in /sys/class/srp_remote_ports/*; do [ ! -e "$port" ] || echo 1 >"$port/delete"; done
wait_for '[ -z "$(disks)" ]'
