# A host that is not on the list does not get in.
if nvme connect -t "$TRANSPORT" -a "$ADDRESS" -s "$PORT" -n "$NQN" -q "$HOST" -I "$HOSTID"; then
    fail "it got in"
fi
! controllers || fail "a controller remains"
