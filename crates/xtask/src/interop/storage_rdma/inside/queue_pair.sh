# Tells of the last connection to come: the number of its queue pair here, and the packet that it expects next.
last() { rdma res show qp | awk '/type RC state RTS/ { last = $4 " " $12 } END { print last }'; }
wait_for '[ -n "$(last)" ]'
last
