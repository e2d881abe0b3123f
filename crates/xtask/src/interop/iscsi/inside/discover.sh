# SendTargets names the target, and what it names can be logged in to.
start
iscsiadm -m discovery -t sendtargets -p "$ADDRESS:$PORT" >found
grep -q "^$ADDRESS:$PORT,1 $IQN\$" found || fail "the target is not in: $(cat found)"
node -l
wait_for '[ -n "$(units 0)" ]'
leave
