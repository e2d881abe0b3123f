# Runs a program of perftest at both ends of the kernel's device, and prints the line with its figures. Set before it: WORDS.
set -eu
taskset -c 0 $WORDS -F -d rxe0 -x 1 >server.out 2>&1 &
server=$!
end=$((SECONDS + 30))
until grep -q ':4853 .* 0A ' /proc/net/tcp /proc/net/tcp6; do
    ((SECONDS < end)) || exit 1
    sleep 0.1
done
taskset -c 1 $WORDS -F -d rxe0 -x 1 127.0.0.1 >client.out 2>&1 || { cat client.out; exit 1; }
wait $server
grep -A 1 '#bytes' client.out | tail -n 1
