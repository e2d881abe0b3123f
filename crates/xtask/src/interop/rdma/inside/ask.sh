# Runs COMMAND, the client of a server on the other side.
$COMMAND
