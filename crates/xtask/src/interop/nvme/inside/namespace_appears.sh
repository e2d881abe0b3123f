# A second namespace of 32 MiB came while we were connected.
trap - EXIT
wait_for 'disk 2'
DEV=/dev/$(disk 2)
[ "$(blockdev --getsize64 "$DEV")" = 33554432 ] || fail "its size"
dd if=/dev/urandom of=sent bs=1M count=1 status=none
dd if=sent of="$DEV" bs=1M oflag=direct status=none
dd if="$DEV" bs=1M count=1 iflag=direct status=none | cmp - sent
