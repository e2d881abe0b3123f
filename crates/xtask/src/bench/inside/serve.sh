# weft serve with 64 MiB of RAM by every protocol; prints what it says. Set before it: WEFT, NIC, ADDRESS, NQN, IQN.
set -eu
ip link set "$NIC" mtu 9000 up
ip address add "$ADDRESS/24" dev "$NIC"
cp "$WEFT" weft
setsid ./weft serve --json --ram 64M --listen "$ADDRESS" --nqn "$NQN" --iqn "$IQN" </dev/null >served 2>said &
end=$((SECONDS + 60))
until [ -s served ]; do
    ((SECONDS < end)) || { cat said; exit 1; }
    sleep 0.1
done
cat served
