# Random reads and writes of every size, each block verified by its checksum.
attach checked
fio --name=verify --filename="$DEV" --direct=1 --ioengine=libaio --iodepth=8 --rw=randrw --bsrange=512-1m \
    --size=48m --verify=crc32c --verify_fatal=1 --verify_backlog=64 --output-format=terse >report || fail "$(cat report)"
cut -d';' -f5 report | grep -qx 0 || fail "fio counts errors: $(cat report)"
no_complaints
leave
