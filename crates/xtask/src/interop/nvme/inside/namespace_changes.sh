# Namespace 1 grew from 64 to 96 MiB and namespace 2 went, while we were connected.
wait_for '[ $(blockdev --getsize64 /dev/$(disk 1)) = 100663296 ]'
wait_for '! disk 2'
DEV=/dev/$(disk 1)
dd if=/dev/urandom of=sent bs=1M count=1 status=none
dd if=sent of="$DEV" bs=1M seek=95 oflag=direct status=none
dd if="$DEV" bs=1M skip=95 count=1 iflag=direct status=none | cmp - sent
leave
