// A server of echoes, and clients that use a connection in ways that nobody who stands before the C library's calls can see, or
// give it away, after it was used for a while as programs usually do.
//
// A client's line "burst N" is answered by N bytes at once, and at "die" who serves it is killed; all others are answered by themselves.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static const char *self;
static char port_text[16];
enum { BURST = 100000 };

static void check(int is_true, const char *what) {
    if (is_true) return;
    fprintf(stderr, "%s (%s)\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_in place(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

static char byte_at(int index) { return 'a' + (index * 7 + index / 256) % 26; }

static void put(int fd, const char *bytes, int len) {
    while (len > 0) {
        ssize_t put = send(fd, bytes, len, 0);
        check(put > 0, "send");
        bytes += put, len -= put;
    }
}

// Answers lines until the client ends. It looks again after each wait, as programs do that have more than one thing to do.
static void answer(int fd) {
    char line[256], burst[BURST];
    int len = 0;
    for (;;) {
        struct pollfd set = {.fd = fd, .events = POLLIN};
        check(poll(&set, 1, 60000) == 1, "nothing came");
        ssize_t got = recv(fd, line + len, sizeof line - len, 0);
        if (got <= 0) exit(0);
        len += got;
        char *end;
        while ((end = memchr(line, '\n', len))) {
            int size = end + 1 - line, wanted;
            *end = 0;
            if (sscanf(line, "burst %d", &wanted) == 1) {
                for (int index = 0; index < wanted; index++) burst[index] = byte_at(index);
                put(fd, burst, wanted);
            } else if (!strcmp(line, "die")) {
                kill(getpid(), SIGKILL);
            } else {
                *end = '\n';
                put(fd, line, size);
            }
            memmove(line, line + size, len -= size);
        }
    }
}

static void serve(int port) {
    signal(SIGCHLD, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in at = place(port);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    check(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 16) == 0, "listen");
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        check(fd >= 0, "accept");
        if (fork() == 0) {
            close(listener);
            answer(fd);
        }
        close(fd);
    }
}

static void expect(int fd, const char *line) {
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

static void ask(int fd, const char *line) {
    put(fd, line, strlen(line));
    expect(fd, line);
}

// A connection that has been used for a while.
static int used(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = place(atoi(port_text));
    check(connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "connect");
    for (int turn = 0; turn < 50; turn++) ask(fd, "a line as any other\n");
    return fd;
}

static void printed(void) {
    int fd = used();
    for (int turn = 0; turn < 20; turn++) {
        put(fd, "before\n", 7);
        check(dprintf(fd, "%d %s %.2f %ld %d %d %d\n", turn, "words", 1.5, 7L, 1, 2, 3) > 0, "dprintf");
        put(fd, "after\n", 6);
        char line[100];
        snprintf(line, sizeof line, "before\n%d words 1.50 7 1 2 3\nafter\n", turn);
        expect(fd, line);
    }
}

static void stream(void) {
    int fd = used();
    put(fd, "first\n", 6);
    FILE *file = fdopen(fd, "r+");
    check(file != NULL, "fdopen");
    char line[100];
    for (int turn = 0; turn < 20; turn++) {
        check(fgets(line, sizeof line, file) && !strcmp(line, turn ? "more\n" : "first\n"), "a line of the stream's");
        rewind(file);
        check(fprintf(file, "more\n") == 5 && fflush(file) == 0, "fprintf");
    }
    fclose(file);
}

static void numbered(void) {
    int fd = used();
    char got[4];
    for (int turn = 0; turn < 20; turn++) {
        check(syscall(SYS_write, fd, "one\n", 4L) == 4, "write by its number");
        put(fd, "two\n", 4);
        check(syscall(SYS_sendto, fd, "six\n", 4L, 0L, NULL, 0L) == 4, "sendto by its number");
        struct pollfd set = {.fd = fd, .events = POLLIN};
        check(syscall(SYS_ppoll, &set, 1L, NULL, NULL, 8L) == 1, "ppoll by its number");
        expect(fd, "one\ntw");
        check(syscall(SYS_read, fd, got, 2L) == 2 && !memcmp(got, "o\n", 2), "read by its number");
        check(syscall(SYS_recvfrom, fd, got, 4L, (long)MSG_WAITALL, NULL, NULL) == 4 && !memcmp(got, "six\n", 4), "recvfrom by its number");
    }
    check(syscall(SYS_close, fd) == 0 && fcntl(fd, F_GETFD) == -1, "close by its number");
}

static void is_fault(ssize_t answer, const char *what) { check(answer == -1 && errno == EFAULT, what); }

// Addresses that are none are refused, and nothing of the stream is lost or sent by that.
static void mistaken(void) {
    int fd = used();
    char got[8];
    void *volatile nothing = NULL, *volatile beyond = (void *)-4096L;
    put(fd, "here\n", 5);
    struct pollfd set = {.fd = fd, .events = POLLIN};
    check(poll(&set, 1, 60000) == 1, "nothing came");
    is_fault(read(fd, nothing, 5), "read to nowhere");
    is_fault(recv(fd, beyond, 5, 0), "recv to nowhere");
    is_fault(write(fd, nothing, 5), "write from nowhere");
    is_fault(send(fd, beyond, 5, 0), "send from nowhere");
    struct iovec pieces[2] = {{"five\n", 5}, {nothing, 5}};
    is_fault(readv(fd, pieces + 1, 1), "readv to nowhere");
    is_fault(writev(fd, nothing, 2), "writev of pieces that are nowhere");
    check(writev(fd, pieces, 1) == 5, "writev");
    expect(fd, "here\nfive\n");
    check(read(fd, nothing, 0) == 0 && recv(fd, got, sizeof got, MSG_DONTWAIT) == -1 && errno == EAGAIN, "nothing is left");
}

// An epoll set by its second descriptor, and by that alone.
static void watched(void) {
    int fd = used(), set = epoll_create1(0), again = dup(set), third = fcntl(again, F_DUPFD_CLOEXEC, 100);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7}, told;
    check(again >= 0 && third >= 100, "second descriptors of a set");
    check(epoll_ctl(again, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
    for (int turn = 0; turn < 60; turn++) {
        if (turn == 20) close(set);
        if (turn == 40) close(again);
        put(fd, "once more\n", 10);
        check(epoll_wait(turn < 40 ? again : third, &told, 1, 60000) == 1 && told.data.u32 == 7, "the set is silent");
        expect(fd, "once more\n");
        check(epoll_wait(third, &told, 1, 0) == 0, "the set says more than there is");
    }
    check(epoll_ctl(third, EPOLL_CTL_DEL, fd, NULL) == 0 && epoll_ctl(third, EPOLL_CTL_DEL, fd, NULL) == -1, "it watches nothing");
}

// Who writes to a peer that was killed is told so before long.
static void bereaved(void) {
    int fd = used(), count = 0;
    put(fd, "die\n", 4);
    while (send(fd, "x", 1, MSG_NOSIGNAL) == 1) {
        check(++count < 1000, "it writes to nobody");
        usleep(50000);
    }
    check(errno == EPIPE || errno == ECONNRESET, "another error");
}

// What another program does with a connection that it was given.
static void given(int fd) {
    for (int index = 0; index < BURST;) {
        char got[1000];
        ssize_t more = recv(fd, got, sizeof got < BURST - index ? sizeof got : BURST - index, 0);
        check(more > 0, "bytes are missing");
        for (int at = 0; at < more; at++, index++) check(got[at] == byte_at(index), "another byte");
    }
    for (int turn = 0; turn < 20; turn++) ask(fd, "from another program\n");
    exit(0);
}

// Bytes are on their way, and nobody has read them, when the connection is given away.
static int loaded(void) {
    int fd = used();
    char line[32];
    sprintf(line, "burst %d\n", BURST);
    put(fd, line, strlen(line));
    usleep(100000);
    return fd;
}

static void ended_well(pid_t child) {
    int status;
    check(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "the other program");
}

static void replaced(void) {
    int fd = loaded();
    char text[16];
    sprintf(text, "%d", fd);
    execl(self, self, "given", port_text, text, (char *)NULL);
}

static void forked(void) {
    int fd = loaded();
    pid_t child = fork();
    if (child == 0) {
        char text[16];
        sprintf(text, "%d", fd);
        char *arguments[] = {(char *)self, "given", port_text, text, NULL};
        execv(self, arguments);
    }
    close(fd);
    ended_well(child);
}

static void borrowed(void) {
    int fd = loaded();
    pid_t child = vfork();
    if (child == 0) {
        dup2(fd, 9);
        execl(self, self, "given", port_text, "9", (char *)NULL);
        _exit(1);
    }
    close(fd);
    ended_well(child);
}

static void spawned(void) {
    int fd = loaded();
    pid_t child;
    char *arguments[] = {(char *)self, "given", port_text, "8", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, 8);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    check(posix_spawn(&child, self, &actions, NULL, arguments, environ) == 0, "posix_spawn");
    close(fd);
    ended_well(child);
}

// Over a Unix socket, to a program that runs already; our own descriptor is closed before the other has read anything.
static void passed(void) {
    int pair[2];
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
    pid_t child = fork();
    if (child == 0) {
        dup2(pair[1], 9);
        execl(self, self, "taken", port_text, "9", (char *)NULL);
    }
    int fd = loaded();
    union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control;
    struct iovec piece = {"x", 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    control.header.cmsg_level = SOL_SOCKET, control.header.cmsg_type = SCM_RIGHTS, control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    check(sendmsg(pair[0], &message, 0) == 1, "sendmsg");
    close(fd);
    ended_well(child);
}

static void taken(int from) {
    char byte;
    union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control;
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    check(recvmsg(from, &message, 0) == 1, "recvmsg");
    int fd;
    memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    usleep(100000);
    given(fd);
}

int main(int count, char **words) {
    check(count >= 3, "ways PART PORT");
    self = words[0];
    snprintf(port_text, sizeof port_text, "%s", words[2]);
    alarm(100);
    const struct { const char *name; void (*run)(void); } parts[] = {
        {"printed", printed}, {"stream", stream}, {"numbered", numbered}, {"replaced", replaced},
        {"mistaken", mistaken}, {"watched", watched}, {"bereaved", bereaved},
        {"forked", forked}, {"borrowed", borrowed}, {"spawned", spawned}, {"passed", passed},
    };
    if (!strcmp(words[1], "serve")) alarm(0), serve(atoi(words[2]));
    if (!strcmp(words[1], "given")) given(atoi(words[3]));
    if (!strcmp(words[1], "taken")) taken(atoi(words[3]));
    for (unsigned index = 0; index < sizeof parts / sizeof *parts; index++) {
        if (!strcmp(parts[index].name, words[1])) return parts[index].run(), 0;
    }
    return 1;
}
