# What was interrupted goes on: who lost a connection has another, so that the next interruption finds all at work.
trap - EXIT
cd outage
before=$(wc -l <acknowledged)
wait_for '[ $(wc -l <acknowledged) -gt $((before + 20)) ]' 120
