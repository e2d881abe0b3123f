# Processes that are killed while they share a connection, or are the peer; deaths.c says what each part demands.
cc -O1 -Wall -o ways ways.c
cc -O1 -Wall -o deaths deaths.c
start ./ways serve 16471
listening 16471
for part in writers readers writing-peers last-words reading-peers ourselves; do
    say $part
    client timeout 60 "$PWD/deaths" $part 16471
done
judge ways
