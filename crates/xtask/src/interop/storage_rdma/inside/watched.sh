# Ends that, and hands it over.
kill "$(<watch.pid)"
wait_for '! kill -0 "$(<watch.pid)"'
grep -q '^0 packets dropped by kernel' watch.said || fail "packets were missed: $(cat watch.said)"
cp watch.pcap /jobs/
