# Says whether the queue pair LQPN is done with within two seconds. Set before it: LQPN.
for _ in {1..20}; do
    rdma res show qp | grep -q "lqpn $LQPN .* state RTS" || { echo over; exit; }
    sleep 0.1
done
