# Logs in and stays when the script ends.
login
trap - EXIT
