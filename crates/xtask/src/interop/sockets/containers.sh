# Two containers that share a directory, each with a network namespace of its own.
mkdir --mode 700 shared
options=(--shared shared)
converse
say "doors are closed by who ends, and swept after who was killed"
touch stop
serve 16702
(on_client "$python" hosts.py talk 10.91.0.2 16702)
rm stop
test -z "$(ls shared)"
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("shared/weft-left")'
(weft true)
test -z "$(ls shared)"

say "nobody is believed where others could make names"
chmod 770 shared
if (weft true) 2>refused; then echo "it is taken"; exit 1; fi
grep -q 'chmod go-w' refused
chmod 700 shared

say "who is not the directory's owner is not met"
if chown 65534 shared 2>/dev/null; then
    serve 16703
    before=$(carried python)
    on_client "$python" hosts.py talk 10.91.0.2 16703 & client=$!
    started+=($client)
    sleep 1
    touch stop
    wait $client
    test "$(carried python)" -le "$before"
fi
