# What every script of the protocol shares. Set before it: IQN, PORT, IFACE (default or iser), and where it matters ADDRESS,
# and SETTINGS of the node's record.
INITIATOR=iqn.2026-01.org.weft:guest

start() { # the initiator's daemon, once
    pgrep -x iscsid >/dev/null && return
    modprobe -a iscsi_tcp sd_mod sg
    [ "$IFACE" != iser ] || modprobe ib_iser
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
    node -o new -I "$IFACE" >/dev/null
    for pair; do node -o update -n "${pair%%=*}" -v "${pair#*=}"; done
    node -l
    wait_for '[ -n "$(units 0)" ]'
    DEV=/dev/$(units 0 | sed -n 1p)
    wait_for '[ -b $DEV ]'
}
attach() { # plain, checked (with digests) or patient (through an outage)
    case ${1:-plain} in
    checked) login "$CONNECTION.HeaderDigest=CRC32C" "$CONNECTION.DataDigest=CRC32C" ;;
    patient)
        login node.session.timeo.replacement_timeout=120 \
            'node.conn[0].timeo.noop_out_interval=1' 'node.conn[0].timeo.noop_out_timeout=2'
        ;;
    plain) login ${SETTINGS:-} ;;
    esac
}
reset_all() { sg_reset -t "$DEV"; }
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
lio_iser() { # 1 or 0: LIO is reached over iSER, or not
    modprobe ib_isert
    echo "$1" >"/sys/kernel/config/target/iscsi/$IQN/tpgt_1/np/$ADDRESS:$PORT/iser"
}
lio_connections() { # how many LIO takes of a session
    echo "$1" >"/sys/kernel/config/target/iscsi/$IQN/tpgt_1/param/MaxConnections"
}
SESSION=node.session.iscsi CONNECTION='node.conn[0].iscsi' AUTH=node.session.auth
COMPLAINTS='connection[0-9:]+ (error|detected)|sd .*(error|timed out)' OUTAGE_SEEN='detected conn error'
trap leave_quietly EXIT
