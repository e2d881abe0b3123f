# Every way to move a write, with and without digests, and two sessions at once.
few() { # a write of one PDU and one of many, read back
    dd if=/dev/urandom of=few bs=256k count=1 status=none
    dd if=few of="$DEV" bs=4k count=1 oflag=direct status=none
    dd if=few of="$DEV" bs=256k seek=1 oflag=direct status=none
    dd if="$DEV" bs=4k count=1 iflag=direct status=none | cmp -n 4096 - few
    dd if="$DEV" bs=256k skip=1 count=1 iflag=direct status=none | cmp - few
}
for settings in \
    "$SESSION.InitialR2T=No $SESSION.ImmediateData=Yes" \
    "$SESSION.InitialR2T=Yes $SESSION.ImmediateData=Yes" \
    "$SESSION.InitialR2T=No $SESSION.ImmediateData=No" \
    "$SESSION.InitialR2T=Yes $SESSION.ImmediateData=No $SESSION.MaxBurstLength=16384 $SESSION.FirstBurstLength=4096" \
    "$CONNECTION.HeaderDigest=CRC32C" \
    "$CONNECTION.DataDigest=CRC32C" \
    "$CONNECTION.HeaderDigest=CRC32C $CONNECTION.DataDigest=CRC32C $SESSION.InitialR2T=Yes" \
    "$CONNECTION.MaxRecvDataSegmentLength=4096"; do
    echo "$settings"
    login $settings
    few
    leave
done
login node.session.nr_sessions=2
wait_for '[ $(units 0 | wc -l) = 2 ]'
for disk in $(units 0); do
    DEV=/dev/$disk
    few
done
[ "$(iscsiadm -m session | grep -c "$IQN")" = 2 ] || fail "not two sessions"
leave
