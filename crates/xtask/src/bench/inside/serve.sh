# weft serve with 64 MiB of RAM by every protocol; prints what it says. Set before it: WEFT, NIC, ADDRESS, NQN, IQN.
set -eu
# The emulated card computes no checksums, which cards do: a pair behind a bridge takes runs, and the kernel does the card's part.
ip link add near type veth peer far
ip link add bridge0 type bridge
for link in "$NIC" far; do ip link set "$link" mtu 9000 up master bridge0; done
for link in bridge0 near; do ip link set "$link" mtu 9000 up; done
ip address add "$ADDRESS/24" dev near
cp "$WEFT" weft
setsid ./weft serve --json --ram 64M --listen "$ADDRESS" --nqn "$NQN" --iqn "$IQN" </dev/null >served 2>said &
end=$((SECONDS + 60))
until [ -s served ]; do
    ((SECONDS < end)) || { cat said; exit 1; }
    sleep 0.1
done
cat served
