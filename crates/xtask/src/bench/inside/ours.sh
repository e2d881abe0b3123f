# Runs our load between two devices, and prints its figure. Set before it: LOAD and WORDS.
set -eu
rm -f served
taskset -c 0 $LOAD packets 127.0.0.1 >served &
server=$!
end=$((SECONDS + 30))
until [ -s served ]; do
    ((SECONDS < end)) || exit 1
    sleep 0.1
done
taskset -c 1 $LOAD packets 127.0.0.2 $(cat served) $WORDS
kill $server
