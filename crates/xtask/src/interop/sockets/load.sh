# Ten thousand connections, a gigabyte, slow readers, and peers that are killed; load.py says what each part demands.
start python3 load.py serve-many 16480
start python3 load.py serve 16480
listening 16480; listening 16481
for part in many gigabyte slow killed; do
    say $part
    client timeout 120 python3 load.py $part 16480
done
judge python3
