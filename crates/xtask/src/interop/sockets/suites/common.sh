# What the scripts of suites share: WEFT is the binary, KEPT a folder that stays from run to run.
set -euo pipefail

# compare TESTS: runs the function without Weft and with it. It prints the names of the tests that pass, after `under` whatever
# it is given; all that pass without have to pass with.
compare() {
    under() { "$@"; }
    "$1" | sort -u >without
    under() { "$WEFT" run --stats "$@"; }
    "$1" | sort -u >with
    comm -23 without with >missing
    echo "$(wc -l <without) tests pass without Weft, $(wc -l <with) with it"
    test -s without
    if [ -s missing ]; then echo "with it alone these fail:"; cat missing; return 1; fi
    awk '/^program +connections +carried/ { rows = 1; next } rows && $3 != "0" { found = 1 } END { exit !found }' log ||
        { echo "no connection was carried"; return 1; }
}
