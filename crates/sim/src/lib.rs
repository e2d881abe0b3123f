//! Env from a seed: a world of shards, streams, disks, faults and checkers.
