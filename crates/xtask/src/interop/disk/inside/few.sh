# A little of everything, for who looks at each packet: large and small requests, there and back.
attach
dd if=/dev/urandom of=few bs=64k count=4 status=none
dd if=few of="$DEV" bs=64k oflag=direct status=none
dd if=few of="$DEV" bs=4k count=16 seek=64 oflag=direct status=none
dd if="$DEV" bs=256k count=1 iflag=direct status=none | cmp - few
dd if="$DEV" bs=4k skip=64 count=16 iflag=direct status=none | cmp -n 65536 - few
leave
