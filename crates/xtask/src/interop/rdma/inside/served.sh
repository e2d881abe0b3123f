# Says what the server said, and ends as it ended.
end=$((SECONDS + 60))
until [ -s server.status ] || ((SECONDS >= end)); do sleep 0.1; done
cat server.out
[ -s server.status ] || fail "the server does not end"
exit "$(cat server.status)"
