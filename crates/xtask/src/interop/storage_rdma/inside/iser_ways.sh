# Discovery over iSER, every way to move a write, and two sessions at once.
few() { # writes that go along, unasked and asked for, read back
    dd if=/dev/urandom of=few bs=256k count=1 status=none
    dd if=few of="$DEV" bs=4k count=1 oflag=direct status=none
    dd if=few of="$DEV" bs=256k seek=1 oflag=direct status=none
    dd if="$DEV" bs=4k count=1 iflag=direct status=none | cmp -n 4096 - few
    dd if="$DEV" bs=256k skip=1 count=1 iflag=direct status=none | cmp - few
}
start
# Now and then iscsiadm misses an answer that its kernel acknowledged, whatever the target is: so it may try again.
for _ in 1 2 3 4; do
    ! timeout 20 iscsiadm -m discovery -t sendtargets -p "$ADDRESS:$PORT" -I iser >found 2>said || break
done
grep -q "^$ADDRESS:$PORT,1 $IQN\$" found || fail "the target is not in: $(cat found said)"
node -o delete
for settings in \
    "$SESSION.InitialR2T=No $SESSION.ImmediateData=Yes" \
    "$SESSION.InitialR2T=Yes $SESSION.ImmediateData=No" \
    "$SESSION.InitialR2T=No $SESSION.ImmediateData=No $SESSION.FirstBurstLength=4096 $SESSION.MaxBurstLength=16384"; do
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
[ "$(iscsiadm -m session | grep -c "^iser.*$IQN")" = 2 ] || fail "not two sessions over iSER: $(iscsiadm -m session)"
leave
