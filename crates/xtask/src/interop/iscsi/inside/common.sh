# What every script shares. Set before it: IQN, PORT, and where it matters ADDRESS.
set -eu -o pipefail
INITIATOR=iqn.2026-01.org.weft:guest

fail() {
    echo "FAILED: $*"
    exit 1
}
wait_for() { # CONDITION [SECONDS]
    local end=$((SECONDS + ${2:-30}))
    until eval "$1" >/dev/null 2>&1; do
        ((SECONDS < end)) || fail "waited in vain for: $1"
        sleep 0.1
    done
}
start() { # the initiator's daemon, once
    pgrep -x iscsid >/dev/null && return
    modprobe -a iscsi_tcp sd_mod sg
    mkdir -p /etc/iscsi /run/lock/iscsi
    echo "InitiatorName=$INITIATOR" >/etc/iscsi/initiatorname.iscsi
    iscsid
    wait_for 'pgrep -x iscsid'
}
units() { # the disks of the target's unit LUN, such as sda
    local path
    for path in /sys/class/scsi_disk/*; do
        if [ -e "$path" ] && [ "${path##*:}" = "$1" ]; then ls "$path/device/block"; fi
    done
}
node() { iscsiadm -m node -T "$IQN" -p "$ADDRESS:$PORT" "$@"; }
login() { # SETTING=VALUE of the node's record ...
    local pair
    start
    dmesg -C
    node -o new >/dev/null
    for pair; do node -o update -n "${pair%%=*}" -v "${pair#*=}"; done
    node -l
    wait_for '[ -n "$(units 0)" ]'
    DEV=/dev/$(units 0 | sed -n 1p)
    wait_for '[ -b $DEV ]'
}
leave() {
    node -u
    wait_for '[ -z "$(units 0)" ]'
    node -o delete
}
leave_quietly() {
    iscsiadm -m node -T "$IQN" -u >/dev/null 2>&1 || true
    iscsiadm -m node -T "$IQN" -o delete >/dev/null 2>&1 || true
}
lio_chap() { # 1 or 0: LIO asks who is there, or not
    cd "/sys/kernel/config/target/iscsi/$IQN/tpgt_1"
    printf user >auth/userid
    printf secretsecret >auth/password
    echo "$1" >attrib/authentication
}
SESSION=node.session.iscsi CONNECTION='node.conn[0].iscsi' AUTH=node.session.auth
trap leave_quietly EXIT
