# What calls answer on connections whose ends have met; met.c says what each part demands.
cc -O1 -Wall -o ways ways.c
cc -O1 -Wall -o met met.c
start ./ways serve 16472
listening 16472
for part in once edges exclusive nested mixed spliced filed urgent signals flags rings ends; do
    say $part
    client timeout 60 "$PWD/met" $part 16472
done
judge ways
