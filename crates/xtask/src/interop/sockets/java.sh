# Java's channels with a selector, its blocking streams, and files that are transferred; Streams.java says what each part demands.
javac -d . Streams.java
start java -Xshare:auto -XX:TieredStopAtLevel=1 Streams serve 16460
listening 16460
for part in selector threads transfer half; do
    say $part
    client timeout 60 java -Xshare:auto -XX:TieredStopAtLevel=1 Streams $part 16460
done
judge java
