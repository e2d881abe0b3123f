# Ways past the calls that can be seen, and connections that are given to other programs; ways.c says what each part demands.
cc -O1 -Wall -o ways ways.c
start ./ways serve 16470
listening 16470
for part in printed stream numbered renamed limited low mistaken watched bereaved replaced forked borrowed spawned shelled passed crossed; do
    say $part
    client timeout 60 "$PWD/ways" $part 16470
done
judge ways
