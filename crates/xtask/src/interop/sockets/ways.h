// What ways.c, met.c and deaths.c share: a client's end of ways.c's server.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char port_text[16];
enum { BURST = 100000 };

static inline void check(int is_true, const char *what) {
    if (is_true) return;
    fprintf(stderr, "%s (%s)\n", what, strerror(errno));
    exit(1);
}

static inline struct sockaddr_in place(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

static inline char byte_at(int index) { return 'a' + (index * 7 + index / 256) % 26; }

static inline void put(int fd, const char *bytes, int len) {
    while (len > 0) {
        ssize_t put = send(fd, bytes, len, 0);
        check(put > 0, "send");
        bytes += put, len -= put;
    }
}

static inline double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static inline void put_burst(int fd) {
    static char burst[BURST];
    for (int index = 0; index < BURST; index++) burst[index] = byte_at(index);
    put(fd, burst, BURST);
}

static inline void get_burst(int fd) {
    for (int index = 0; index < BURST;) {
        char got[1000];
        ssize_t more = recv(fd, got, sizeof got < BURST - index ? sizeof got : BURST - index, 0);
        check(more > 0, "bytes are missing");
        for (int at = 0; at < more; at++, index++) check(got[at] == byte_at(index), "another byte");
    }
}

static inline void expect(int fd, const char *line) {
    char got[256];
    int len = strlen(line);
    for (int done = 0; done < len;) {
        ssize_t more = recv(fd, got + done, len - done, 0);
        check(more > 0, "an answer is missing");
        done += more;
    }
    if (memcmp(got, line, len)) fprintf(stderr, "wanted %s, got %.*s\n", line, len, got);
    check(!memcmp(got, line, len), "another answer");
}

static inline void ask(int fd, const char *line) {
    put(fd, line, strlen(line));
    expect(fd, line);
}

// A connection that has been used for a while.
static inline int used(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = place(atoi(port_text));
    check(connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "connect");
    for (int turn = 0; turn < 50; turn++) ask(fd, "a line as any other\n");
    return fd;
}
