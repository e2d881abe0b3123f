# sg3-utils, each command against what it must find.
login
wait_for '[ -n "$(units 1)" ]'
OTHER=/dev/$(units 1)
sg_inq "$DEV" | grep -qi 'vendor' || fail "no vendor"
for page in sv sn di ei bl bdc lbpv; do sg_vpd --page=$page "$DEV" >vpd || fail "page $page: $(cat vpd)"; done
sg_readcap --16 "$DEV" | grep -q 'lbpme=1' || fail "the unit is not thin"
sg_opcodes "$DEV" | grep -q 'Compare and write' || fail "operation codes: $(sg_opcodes "$DEV")"
sg_modes "$DEV" >modes || fail "$(cat modes)"
sg_rtpg --decode "$DEV" | grep -qi 'active/optimized' || fail "no target port group"
sg_luns "$DEV" | grep -q 'Lun list length = 16' || fail "not two units: $(sg_luns "$DEV")"

# Persistent reservations: registered, reserved, shown, released.
KEY=0xabc123
sg_persist --out --register --param-sark=$KEY "$DEV" >/dev/null
sg_persist --in --read-keys "$DEV" | grep -q "$KEY" || fail "the key is not shown"
sg_persist --out --reserve --param-rk=$KEY --prout-type=3 "$DEV" >/dev/null
sg_persist --in --read-reservation "$DEV" | grep -q 'Exclusive Access' || fail "no reservation"
sg_persist --in --report-capabilities "$DEV" >/dev/null
sg_persist --in --read-full-status "$DEV" | grep -q "$INITIATOR" || fail "full status names no initiator"
sg_persist --out --release --param-rk=$KEY --prout-type=3 "$DEV" >/dev/null
sg_persist --out --clear --param-rk=$KEY "$DEV" >/dev/null

# Blocks that are unmapped read as zero.
dd if=/dev/urandom of=block bs=512 count=8 status=none
dd if=block of="$DEV" oflag=direct status=none
sg_unmap --lba=0 --num=8 --force "$DEV"
dd if="$DEV" bs=512 count=8 iflag=direct status=none | cmp -n 4096 - /dev/zero

generic() { echo /dev/$(ls /sys/block/${1##*/}/device/scsi_generic); } # DISK
# A copy that the target makes by itself, from one unit to the other.
dd if=/dev/urandom of=source bs=1M count=2 status=none
dd if=source of="$DEV" bs=1M oflag=direct status=none
sg_xcopy if="$(generic "$DEV")" of="$(generic "$OTHER")" bs=512 count=4096 >xcopy 2>&1 || fail "$(cat xcopy)"
dd if="$OTHER" bs=1M count=2 iflag=direct status=none | cmp - source

# Compare and write: the first half must match, the second is written.
head -c 512 source >compared
head -c 512 /dev/urandom >written
cat compared written >both
sg_compare_and_write --in=both --lba=0 --num=1 --xferlen=1024 "$DEV"
dd if="$DEV" bs=512 count=1 iflag=direct status=none | cmp - written
! sg_compare_and_write --in=both --lba=0 --num=1 --xferlen=1024 "$DEV" 2>mismatch || fail "a mismatch was written"

# A formatted unit reads as zero.
sg_format --format --quick --wait "$DEV" >format 2>&1 || fail "$(cat format)"
dd if="$DEV" bs=1M count=2 iflag=direct status=none | cmp -n 2097152 - /dev/zero
leave
