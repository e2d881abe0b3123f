# Strangers at doors: strangers.py says who they are. Neither the programs nor their connections have anything of them.
cc -O1 -Wall -o ways ways.c
say "at a client's door"
./ways serve 16490 & started+=($!)
listening 16490
python3 strangers.py doors 16490
say "behind the door that a server knocks at"
start "$PWD/ways" serve 16491
listening 16491
python3 strangers.py behind 16491
