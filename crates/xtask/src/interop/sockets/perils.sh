# Programs that do to their connections what programs rarely do; perils.c says what each part demands.
cc -O1 -Wall -o ways ways.c
cc -O1 -Wall -pthread -o perils perils.c
start ./ways serve 16476
listening 16476
for part in peeked cut ended cancelled closed taken-back interrupted; do
    say $part
    client timeout 120 "$PWD/perils" $part 16476
done
say "many more connections than there is room for, each held by a child that ended at once"
become_client "$PWD/perils" left 16476 & left=$!
started+=($left)
rows() {
    "$WEFT" top --json | python3 -c '
import json, sys
pages = [page for page in json.load(sys.stdin) if page["program"] == "perils"]
print(sum(page["carried"] for page in pages), sum(len(page["rows"]) for page in pages))'
}
case $ENDS in
both) for _ in $(seq 600); do if test "$(rows)" = "1 1"; then break; fi; sleep 0.1; done; rows; test "$(rows)" = "1 1" ;;
*) sleep 3; kill -0 $left ;;
esac
kill $left
wait $left || true
judge ways
