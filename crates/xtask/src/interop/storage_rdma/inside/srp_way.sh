# One way to move data. Set before it: LOGIN, the options of the login, and MODULE, those of the module.
dd if=/dev/urandom of=sent bs=64k count=16 status=none
login "$LOGIN" $MODULE
dd if=sent of="$DEV" bs=64k oflag=direct status=none
dd if=sent of="$DEV" bs=4k count=64 seek=256 oflag=direct status=none
dd if="$DEV" bs=256k count=4 iflag=direct status=none | cmp - sent
dd if="$DEV" bs=4k skip=256 count=64 iflag=direct status=none | cmp -n 262144 - sent
no_complaints
leave
