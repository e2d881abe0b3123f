//! The NVMe command sets over volumes, and NVMe over Fabrics as controller and host.
