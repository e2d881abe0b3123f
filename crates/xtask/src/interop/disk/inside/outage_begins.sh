# Two writers that go on through what comes: fio, and one that notes what was acknowledged as durable.
attach patient
trap - EXIT
rm -rf outage
mkdir outage
cd outage
echo "$DEV" >device
BLOCK=$(blockdev --getss "$DEV")
cat >fio.sh <<END
fio --name=verify --filename=$DEV --direct=1 --ioengine=libaio --iodepth=4 --rw=randwrite --bsrange=4k-64k --size=12m \
    --rate_iops=60 --verify=crc32c --verify_fatal=1 --output-format=terse >fio.out 2>&1
echo \$? >fio.status
END
cat >record.sh <<END
number=0
while [ ! -e stop ]; do
    number=\$((number + 1))
    printf "%-$((BLOCK - 1))d\n" \$number >block
    SECONDS=0
    dd if=block of=$DEV bs=$BLOCK seek=\$((32 * 1048576 / $BLOCK + number)) oflag=direct,dsync conv=notrunc status=none || break
    echo \$number >>acknowledged
    [ \$SECONDS -lt 4 ] || echo \$SECONDS >>waited
done
touch stopped
END
setsid bash fio.sh </dev/null >/dev/null 2>&1 &
setsid bash record.sh </dev/null >/dev/null 2>&1 &
wait_for 'grep -qx 20 acknowledged' 30
