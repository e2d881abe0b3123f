//! Env on Linux: epoll, io_uring, TCP and files.
