# Puts the queue pair at the other end of LQPN into error. Set before it: FORGED, FROM, TO, LQPN.
python3 -c "$FORGED" "$FROM" "$TO" "$LQPN"
