# redis's own tests, of those units that go through clients most. Debian has them in the source package alone.
fetch() (
    mkdir -p "$KEPT/lists/partial" "$KEPT/archives/partial"
    cd "$KEPT"
    apt-get indextargets --format 'deb-src $(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' | sort -u >sources.list
    options=()
    for option in Dir::Etc::SourceList="$KEPT/sources.list" Dir::Etc::SourceParts=/dev/null Dir::Cache="$KEPT" \
        Dir::State::Lists="$KEPT/lists" APT::Sandbox::User= Debug::NoLocking=true; do
        options+=(-o "$option")
    done
    apt-get -qq "${options[@]}" update && apt-get -qq "${options[@]}" source --download-only redis
)
compgen -G "$KEPT/redis_*.orig.tar.gz" >/dev/null || fetch || exit 77
tar -xf "$KEPT"/redis_*.orig.tar.gz --strip-components 1
for program in redis-server redis-cli redis-benchmark redis-check-aof redis-check-rdb; do
    ln -s "$(command -v $program)" src/
done
units=()
for unit in unit/protocol unit/type/string unit/pubsub unit/multi unit/auth unit/limits unit/networking unit/querybuf unit/tracking \
    integration/redis-cli integration/redis-benchmark integration/replication-4; do
    units+=(--single $unit)
done
tests() {
    under tclsh tests/test_helper.tcl --clients 2 "${units[@]}" >log 2>&1 || true
    sed -n 's/\x1b\[[0-9;]*m//g; s/^\[ok\]: \(.*\) ([0-9]* ms)$/\1/p' log
}
compare tests
