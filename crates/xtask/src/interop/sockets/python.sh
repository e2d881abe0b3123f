# What Python's modules make of sockets; stream.py says what each part demands.
start python3 stream.py serve 16389
listening 16389
for part in asyncio select poll epoll threads peek half kill; do
    say $part
    client timeout 60 python3 stream.py $part 16389
done
judge python3
