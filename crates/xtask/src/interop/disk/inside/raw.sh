# 16 MiB written and read back, through large requests and small ones.
attach checked
dd if=/dev/urandom of=sent bs=1M count=16 status=none
dd if=sent of="$DEV" bs=1M oflag=direct status=none
sent=$(sha256sum <sent)
for size in 4M 128k 16k; do
    received=$(dd if="$DEV" bs=$size iflag=direct,count_bytes count=16M status=none | sha256sum)
    [ "$sent" = "$received" ] || fail "the sums differ, reading by $size"
done
leave
attach
received=$(dd if="$DEV" bs=1M count=16 iflag=direct status=none | sha256sum)
[ "$sent" = "$received" ] || fail "the sums differ after attaching anew"
leave
