# Listeners that have other numbers, were made by another program, or are several processes': each server has a name of its own.
cc -O1 -Wall -o ways ways.c
port=16500
for how in plain duplicated inherited early; do
    say $how
    cp ways "$how"
    port=$((port + 1))
    start "$PWD/$how" serve $port "$how"
    listening $port
    for _ in 1 2 3; do client timeout 60 "$PWD/ways" used $port; done
    judge "$how"
done
# A program that does not run under Weft may have made it.
say given
cp ways given
cat >give.py <<'END'
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(listener.fileno(), 9)
os.execv(sys.argv[2], [*sys.argv[2:], sys.argv[1], "9"])
END
case $ENDS in both | server) given=("$WEFT" run "$PWD/given" accepting) ;; *) given=("$PWD/given" accepting) ;; esac
python3 give.py 16510 "${given[@]}" & started+=($!)
listening 16510
for _ in 1 2 3; do client timeout 60 "$PWD/ways" used 16510; done
judge given
