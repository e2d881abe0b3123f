# Two hosts, one namespace: what one reserves the other cannot write, until it preempts.
connect -i 1
FIRST=/dev/$(controllers)
# nvme-cli refuses a second host on one machine; the kernel does not.
echo "transport=$TRANSPORT,traddr=$ADDRESS,trsvcid=$PORT,nqn=$NQN,hostnqn=$HOST-2,hostid=${HOSTID%1}2,nr_io_queues=1" \
    >/dev/nvme-fabrics
wait_for '[ $(controllers | wc -l) = 2 ]'
SECOND=/dev/$(controllers | grep -v "^${FIRST#/dev/}\$")
BLOCK=$(blockdev --getss "$DEV")
head -c "$BLOCK" /dev/urandom >block
write_by() { # CONTROLLER: writes block 0 with that host's rights
    nvme io-passthru "$1" --opcode=1 --namespace-id=1 --data-len="$BLOCK" --write --input-file=block 2>&1
}
conflicts() { ! write_by "$1" >said && grep -qi 'reservation conflict' said; }

nvme resv-register "$FIRST" -n 1 --nrkey=0x11 --rrega=0
nvme resv-register "$SECOND" -n 1 --nrkey=0x22 --rrega=0
nvme resv-acquire "$FIRST" -n 1 --crkey=0x11 --rtype=1 --racqa=0
nvme resv-report "$FIRST" -n 1 --eds >report
grep -Eq 'regctl +: 2' report && grep -Eq 'rtype +: 1' report || fail "the report: $(cat report)"
write_by "$FIRST" || fail "the holder may write"
conflicts "$SECOND" || fail "the other host may not: $(cat said)"
nvme resv-acquire "$SECOND" -n 1 --crkey=0x22 --prkey=0x11 --rtype=1 --racqa=1
write_by "$SECOND" || fail "who preempted may write"
conflicts "$FIRST" || fail "who was preempted may not: $(cat said)"
nvme resv-notif-log "$FIRST" >log || nvme get-log "$FIRST" -i 0x80 -l 64 >log
nvme resv-release "$SECOND" -n 1 --crkey=0x22 --rtype=1 --rrela=0
write_by "$FIRST" || fail "after the release anyone may write"
nvme resv-register "$SECOND" -n 1 --crkey=0x22 --rrega=1
nvme resv-report "$SECOND" -n 1 --eds >report
grep -Eq 'regctl +: 0' report || fail "somebody is still registered: $(cat report)"
