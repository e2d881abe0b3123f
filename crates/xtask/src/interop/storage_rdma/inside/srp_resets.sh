# Several units, and resets of every kind.
login
wait_for '[ -n "$(units 1)" ]'
sg_luns "$DEV" | grep -q 'Lun list length = 16' || fail "not two units: $(sg_luns "$DEV")"
dd if=/dev/urandom of=sent bs=1M count=1 status=none
dd if=sent of="$DEV" bs=64k oflag=direct status=none
sg_reset -d "$DEV" || fail "no reset of the unit"
sg_reset -H "$DEV" || fail "no reset of the host"
wait_for '[ "$(cat /sys/class/srp_remote_ports/*/state)" = running ]'
dmesg | grep -q 'reconnect succeeded' || fail "it did not connect again: $(dmesg | tail -5)"
dd if="$DEV" bs=64k count=16 iflag=direct status=none | cmp - sent
dd if=sent of="/dev/$(units 1)" bs=64k oflag=direct status=none
leave
