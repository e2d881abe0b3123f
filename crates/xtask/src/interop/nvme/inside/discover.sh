# The discovery service names the subsystem and where it is.
nvme discover -t "$TRANSPORT" -a "$ADDRESS" -s "$PORT" -q "$HOST" -I "$HOSTID" | tee discovery
grep -Eq "^subnqn: +$NQN\$" discovery || fail "the subsystem is not listed"
grep -Eq "^traddr: +$ADDRESS\$" discovery || fail "its address is not listed"
grep -Eq "^trsvcid: +$PORT\$" discovery || fail "its port is not listed"
grep -Eq '^subtype: +nvme subsystem' discovery || fail "it is not said to be an NVMe subsystem"
grep -Eq "^trtype: +$TRANSPORT\$" discovery || fail "its transport is not listed"
# What the log says is enough to connect.
nvme connect-all -t "$TRANSPORT" -a "$ADDRESS" -s "$PORT" -q "$HOST" -I "$HOSTID"
wait_for 'disk 1'
