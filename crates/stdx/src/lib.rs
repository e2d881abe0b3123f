//! What every room needs: time, memory, queues, checksums, and the contract with the outside world.
