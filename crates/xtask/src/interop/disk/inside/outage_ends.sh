# Both writers come to their end, and nothing that was acknowledged is missing.
cd outage
DEV=$(<device)
before=$(wc -l <acknowledged)
wait_for '[ $(wc -l <acknowledged) -gt $((before + 20)) ]' 120
touch stop
wait_for '[ -e stopped ]' 60
wait_for '[ -e fio.status ]' 120
[ "$(<fio.status)" = 0 ] || fail "fio: $(cat fio.out)"
blockdev --flushbufs "$DEV"
dd if="$DEV" bs=1M skip=32 iflag=direct status=none | tr -d '\0' | awk '{ print $1 }' | sort >present
sort acknowledged | comm -23 - present >missing
[ ! -s missing ] || fail "$(wc -l <missing) of $(wc -l <acknowledged) acknowledged records are missing: $(head -5 missing)"
echo "$(wc -l <acknowledged) acknowledged records, none missing"
# Who saw it. A daemon that is back soon may not be missed: then somebody waited. Who lost its connections has made others.
# The one that serves another's volume on keeps the outage to itself.
case ${BORNE:-} in
beyond) ;;
yes) [ -s waited ] || dmesg | grep -q "$OUTAGE_SEEN" || fail "nobody saw an outage" ;;
*) dmesg | grep -q "$OUTAGE_SEEN" || fail "the kernel saw no outage" ;;
esac
leave
