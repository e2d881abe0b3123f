# What every script of the protocol shares. Set before it: NQN, PORT, TRANSPORT, and where it matters ADDRESS.
modprobe "nvme-$TRANSPORT"
HOST=nqn.2014-08.org.nvmexpress:uuid:7b1f3c52-0d3e-4a52-9c63-5f8f4f3f0001
HOSTID=7b1f3c52-0d3e-4a52-9c63-5f8f4f3f0001

controllers() { # the controllers connected to the subsystem, such as nvme0
    local path found=1
    for path in /sys/class/nvme/nvme*; do
        [ -e "$path/subsysnqn" ] && [ "$(<"$path/subsysnqn")" = "$NQN" ] || continue
        echo "${path##*/}"
        found=0
    done
    return $found
}
disk() { # NSID: its block device, such as nvme0n1
    local path
    for path in /sys/class/nvme-subsystem/*/nvme*n*; do
        [ -e "$path/nsid" ] && [ "$(<"${path%/*}/subsysnqn")" = "$NQN" ] && [ "$(<"$path/nsid")" = "$1" ] || continue
        [ -b "/dev/${path##*/}" ] && echo "${path##*/}" && return
    done
    return 1
}
connect() { # OPTIONS of nvme connect
    dmesg -C
    nvme connect -t "$TRANSPORT" -a "$ADDRESS" -s "$PORT" -n "$NQN" -q "$HOST" -I "$HOSTID" "$@"
    wait_for 'disk 1'
    DEV=/dev/$(disk 1)
}
attach() { # plain, checked (with digests, where there are any) or patient (through an outage)
    case ${1:-plain}-$TRANSPORT in
    checked-tcp) connect -i 2 -g -G ;;
    checked-*) connect -i 4 ;;
    patient-*) connect -l 120 -c 1 ;;
    plain-*) connect -i 2 ;;
    esac
}
leave() {
    nvme disconnect -n "$NQN"
    wait_for '! controllers'
}
leave_quietly() { nvme disconnect -n "$NQN" >/dev/null 2>&1 || true; }
COMPLAINTS='nvme.*(error|fail|timeout)' OUTAGE_SEEN=econnect
trap leave_quietly EXIT
