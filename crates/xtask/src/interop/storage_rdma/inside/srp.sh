# What every script of SRP shares. Set before it: TARGET, the identifier of the port (both its halves are the same), ADDRESS, PORT.
INITIATOR='RDMA initiator port identifier'

units() { # the disks of the target's unit LUN, such as sda
    local path
    for path in /sys/class/scsi_disk/*; do
        if [ -e "$path" ] && [ "${path##*:}" = "$1" ]; then ls "$path/device/block"; fi
    done
}
ports() { ls -d /sys/class/srp_remote_ports/* 2>/dev/null || true; }
login() { # [OPTIONS of the login [OPTIONS of the module ...]]
    local options=${1:-}
    [ $# = 0 ] || shift
    modprobe -r ib_srp 2>/dev/null || true
    modprobe -a sd_mod sg
    modprobe ib_srp "$@"
    dmesg -C
    echo "id_ext=$TARGET,ioc_guid=$TARGET,dest=$ADDRESS:$PORT$options" >/sys/class/infiniband_srp/srp-rxe0-1/add_target ||
        fail "no login: $(dmesg | tail -5)"
    wait_for '[ -n "$(units 0)" ]'
    DEV=/dev/$(units 0 | sed -n 1p)
    wait_for '[ -b $DEV ]'
}
attach() { # plain, checked (tables of descriptors, partly left in memory) or patient (through an outage)
    case ${1:-plain} in
    checked) login ,ch_count=1,cmd_sg_entries=12,allow_ext_sg=1,sg_tablesize=256 use_imm_data=0 never_register=1 ;;
    patient)
        login
        local port host
        for port in $(ports); do
            echo off >"$port/fast_io_fail_tmo"
            echo 1 >"$port/reconnect_delay"
            # rdma_rxe may break a queue pair without a word to ib_srp: then commands that are late bring the new login, and
            # it must not be that each is aborted first, five seconds apiece.
            host=${port##*/port-}
            echo 5 >"/sys/class/scsi_host/host${host%%:*}/eh_deadline"
        done
        echo 12 >"/sys/block/${DEV#/dev/}/device/timeout"
        ;;
    plain) login ;;
    esac
}
reset_all() { # the host's reset logs in again
    sg_reset -H "$DEV" && wait_for 'dmesg | grep -q "$OUTAGE_SEEN"'
}
leave() {
    local port
    for port in $(ports); do echo 1 >"$port/delete"; done
    wait_for '[ -z "$(units 0)" ]'
}
leave_quietly() { (leave) >/dev/null 2>&1 || true; }
COMPLAINTS='failed (send|receive|RDMA)|SRP (abort|reset)|sd .*(error|timed out)' OUTAGE_SEEN='reconnect succeeded'
trap leave_quietly EXIT
