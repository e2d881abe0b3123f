# Whoever is taken off the list is cut off, and does not get in again.
trap leave_quietly EXIT
name=$(controllers)
wait_for "[ ! -e /sys/class/nvme/$name ] || [ \$(</sys/class/nvme/$name/state) != live ]"
