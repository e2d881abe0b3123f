# The guest's first process: brings the machine up, then runs the jobs whose names arrive on the second serial port.
# A job is a directory of /jobs: `script` comes in, `output` and at last `status` go out.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C
mount -t tmpfs none /tmp
mount -t tmpfs none /run
mkdir -p /dev/pts /dev/shm /run/lock /etc/nvme
mount -t devpts none /dev/pts
mount -t tmpfs none /dev/shm
modprobe configfs
mount -t configfs none /sys/kernel/config
mount -t debugfs none /sys/kernel/debug
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=none jobs /jobs
read -r -a words </proc/cmdline
for word in "${words[@]}"; do
    case $word in address=*) address=${word#*=} ;; esac
done
hostname guest
ip link set lo up
if [ -n "${address-}" ]; then
    echo 0 >/proc/sys/net/ipv6/conf/eth0/router_solicitations
    ip address add "$address" dev eth0
    ip link set eth0 up
fi

run() { # JOB SECONDS
    local job=/jobs/$1
    cd /tmp || exit
    timeout -k 5 "$2" bash "$job/script" </dev/null >"$job/output" 2>&1
    echo $? >"$job/status.new"
    mv "$job/status.new" "$job/status"
}

stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
: >/jobs/ready
while read -r -u 3 job seconds; do run "$job" "$seconds" 3<&- & done
