//! One method table: JSON-RPC, command-line calls, schema and documentation.
