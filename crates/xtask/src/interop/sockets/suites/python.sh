# Python's own tests of its sockets and of what is built on them, but those that wait for time to pass, and those of VSOCK, for which some
# machines wait for ever, whoever asks.
modules=(test_asyncio.test_streams test_asyncio.test_server test_asyncio.test_sendfile test_socket test_httpservers test_smtplib
    test_xmlrpc)
for python in python3 /usr/bin/python3; do
    "$python" -c 'import test.test_asyncio' 2>/dev/null && break
done
tests() {
    under "$python" -m test --junit-xml "$PWD/results" -i '*[Tt]imeout*' -i '*VSOCK*' "${modules[@]}" >log 2>&1 || true
    "$python" -c '
import sys, xml.etree.ElementTree as tree
for test in tree.parse("results").iter("testcase"):
    if len(test) == 0:
        print(test.get("name"))'
}
compare tests
