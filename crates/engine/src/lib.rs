//! A shard: portals, volumes and controllers over one Env, reconfigured while it runs.
