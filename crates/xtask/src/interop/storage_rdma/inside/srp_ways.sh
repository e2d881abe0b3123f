# Every way to move data: with the command or not, one descriptor or a table of them, in the unit or left in memory.
dd if=/dev/urandom of=sent bs=64k count=16 status=none
try() { # NAME, then as login
    echo "$1"
    shift
    login "$@"
    dd if=sent of="$DEV" bs=64k oflag=direct status=none
    dd if=sent of="$DEV" bs=4k count=64 seek=256 oflag=direct status=none
    dd if="$DEV" bs=256k count=4 iflag=direct status=none | cmp - sent
    dd if="$DEV" bs=4k skip=256 count=64 iflag=direct status=none | cmp -n 262144 - sent
    no_complaints
    leave
}
try 'immediate data, several channels' ,ch_count=4
[ "$(lsmod | grep -c '^ib_srp ')" = 1 ] || fail "no ib_srp"
try 'registered memory' ,ch_count=1 use_imm_data=0
try 'tables in the unit' ,ch_count=1,cmd_sg_entries=64 use_imm_data=0 never_register=1
try 'tables in memory' ,ch_count=1,cmd_sg_entries=2,allow_ext_sg=1,sg_tablesize=256 use_imm_data=0 never_register=1
