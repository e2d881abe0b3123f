# What a policy says is what happens, as `--stats` tells: who is meant, where, in which role, and what comes of it.
cc -O1 -Wall -o ways ways.c
cp ways asker
port=16480

# serves POLICY: a server by it.
serves() {
    port=$((port + 1))
    echo "$1" >server.policy
    start --policy "$PWD/server.policy" "$PWD/ways" serve $port
    listening $port
}

# asks POLICY CARRIED WHY: a client by it, and what is told of its connection.
asks() {
    printf "$1\n" >client.policy
    "$WEFT" run --policy "$PWD/client.policy" --stats ./asker used $port 2>told
    say "$1: $(tail -1 told)"
    read -r program connections carried sent received why < <(tail -1 told | sed 's/  */ /g; s/ B\>/B/g; s/ KiB/KiB/g')
    test "$program $connections $carried" = "asker 1 $2"
    [[ $why == *"$3" ]]
}

serves "use tcp server nobody *:*"
asks "" 1 ""
asks "use tcp client * *:*" 0 "the policy says TCP"
asks "use tcp connect asker *:*" 0 "the policy says TCP"
asks "use tcp client ask* *:*" 0 "the policy says TCP"
asks "use tcp client other *:*" 1 ""
asks "use tcp client * 127.0.0.1:$port" 0 "the policy says TCP"
asks "use tcp client * 127.0.0.1:1" 1 ""
asks "use tcp client * 127.0.0.0/8:$port" 0 "the policy says TCP"
asks "use tcp client * 10.0.0.0/8:*" 1 ""
asks "use tcp client * *:$((port - 1))-$((port + 1))" 0 "the policy says TCP"
asks "use tcp client * *:1-1024" 1 ""
asks "use tcp server * *:*" 1 ""
asks "use both client asker *:*\nuse tcp client * *:*" 1 ""
asks "# nothing\nlog min-level 1 destination stderr\nuse tcp client * *:* # all" 0 "the policy says TCP"
asks "use sdp client * *:*" 1 ""

# A server's own policy, in its role alone.
serves "use tcp server ways *:*"
asks "" 0 "the listener does not run under weft"
serves "use tcp listen * 127.0.0.0/8:$((port + 1))"
asks "" 0 "the listener does not run under weft"
serves "use tcp client * *:*"
asks "" 1 ""

# Rather no connection than one by TCP.
port=$((port + 1))
"$PWD/ways" serve $port & started+=($!)
listening $port
asks "" 0 "the listener does not run under weft"
printf 'use sdp client * *:*\n' >client.policy
if "$WEFT" run --policy "$PWD/client.policy" ./asker used $port 2>told; then exit 1; fi
grep -q "Connection refused" told

printf 'use both client * *:*\nuse udp client * *:*\n' >client.policy
if "$WEFT" run --policy "$PWD/client.policy" ./asker used $port 2>told; then exit 1; fi
grep -q "line 2" told
