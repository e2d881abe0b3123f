# Connects and stays connected when the script ends.
connect
trap - EXIT
