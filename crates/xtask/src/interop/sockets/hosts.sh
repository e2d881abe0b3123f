# Two hosts, each with a relay.
printf 'use both server * *:*\nuse both client * *:*\n' >policy
head -c 32 /dev/urandom | base64 >key
chmod 600 key
relay() { "$@" "$WEFT" relay "$address" --key key >>relays.log 2>&1 & relay=$!; started+=($relay); }
ready() { until test "$(grep -c carrying relays.log)" -ge "$1"; do sleep 0.1; done; }
options=(--policy "$PWD/policy")
address=10.91.0.1 relay env; here=$relay
address=10.91.0.2 relay "${in_there[@]}"; yonder=$relay
ready 2
converse

say "a host whose relay does not answer"
kill $yonder
wait $yonder || true
"${in_there[@]}" "$python" hosts.py silence 10.91.0.2 & started+=($!)
serve 16702
before=$(carried python)
on_client "$python" hosts.py talk 10.91.0.2 16702 & client=$!
started+=($client)
sleep 1
touch stop
wait $client
test "$(carried python)" -le "$before"
