// A server of echoes, and clients that use a connection in ways that nobody who stands before the C library's calls can see, or
// give it away, after it was used for a while as programs usually do.
//
// A client's line "burst N" is answered by N bytes at once, "later N" after so many milliseconds, "flood" by bytes without an end, "pid" by the number of the process that
// answers, "urgent" by bytes of which one is urgent, and "hear" by itself and then by the urgent byte that follows. After "sink" what
// comes is thrown away up to a line "END", after "nap N" nothing is read for N seconds or until the client ends, at "die" who serves it
// is killed, and at "cross T" it sends bytes and becomes another program at that time. All others are answered by themselves.
#include "ways.h"
#include <limits.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/uio.h>

extern char **environ;
static const char *self;

// Another program has this connection from that time on.
static void become(const char *part, int fd, double when) {
    char text[16];
    sprintf(text, "%d", fd);
    while (now() < when) continue;
    execl(self, self, part, port_text, text, (char *)NULL);
    check(0, "exec");
}

static void flood(int fd) {
    static unsigned char bytes[251 * 100];
    for (unsigned index = 0; index < sizeof bytes; index++) bytes[index] = index % 251;
    for (;;) put(fd, (char *)bytes, sizeof bytes);
}

// Throws away what comes, up to the line that says so.
static void sink(int fd) {
    char bytes[65536], last[5] = "";
    while (strcmp(last, "END\n")) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got <= 0) exit(0);
        int new = got < 4 ? got : 4;
        memmove(last, last + new, 4 - new);
        memcpy(last + 4 - new, bytes + got - new, new);
    }
}

static void hear(int fd) {
    struct pollfd set = {.fd = fd, .events = POLLPRI};
    char line[2] = "?\n";
    check(poll(&set, 1, 10000) == 1 && recv(fd, line, 1, MSG_OOB) == 1, "nothing is urgent");
    put(fd, line, 2);
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
            double when;
            *end = 0;
            if (sscanf(line, "burst %d", &wanted) == 1) {
                for (int index = 0; index < wanted; index++) burst[index] = byte_at(index);
                put(fd, burst, wanted);
            } else if (sscanf(line, "nap %d", &wanted) == 1) {
                struct pollfd end = {.fd = fd, .events = POLLRDHUP};
                poll(&end, 1, wanted * 1000);
            } else if (sscanf(line, "cross %lf", &when) == 1) {
                put(fd, line, size - 1);
                put_burst(fd);
                become("answering", fd, when);
            } else if (sscanf(line, "later %d", &wanted) == 1) {
                usleep(wanted * 1000);
                put(fd, "later\n", 6);
            } else if (!strcmp(line, "pid")) {
                char text[16];
                put(fd, text, sprintf(text, "%10d\n", getpid()));
            } else if (!strcmp(line, "urgent")) {
                put(fd, "ab", 2);
                check(send(fd, "c", 1, MSG_OOB) == 1, "send of an urgent byte");
                put(fd, "de\n", 3);
            } else if (!strcmp(line, "hear")) {
                put(fd, "hear\n", 5);
                hear(fd);
            } else if (!strcmp(line, "flood")) {
                flood(fd);
            } else if (!strcmp(line, "sink")) {
                put(fd, "sink\n", 5);
                sink(fd);
                put(fd, "END\n", 4);
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

static void accepting(int listener) {
    signal(SIGCHLD, SIG_IGN);
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

// A listener may have another number, be another program's, or be several processes'.
static void serve(int port, const char *how) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in at = place(port);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    check(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 16) == 0, "listen");
    if (!strcmp(how, "duplicated")) {
        int other = fcntl(listener, F_DUPFD, 20), third = dup2(other, 30);
        check(other >= 20 && third == 30 && close(listener) == 0 && close(other) == 0, "other numbers");
        listener = third;
    }
    if (!strcmp(how, "inherited")) become("accepting", listener, 0);
    if (!strcmp(how, "early")) {
        for (int child = 0; child < 3; child++) {
            if (fork() == 0) prctl(PR_SET_PDEATHSIG, SIGKILL), accepting(listener);
        }
    }
    accepting(listener);
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
    int fd = used(), ends[2];
    char got[4];
    check(pipe(ends) == 0, "pipe");
    for (int turn = 0; turn < 20; turn++) {
        put(fd, "before\n", 7);
        check(write(ends[1], "between\n", 8) == 8, "write to a pipe");
        check(syscall(SYS_splice, ends[0], NULL, fd, NULL, 8L, 0L) == 8, "splice by its number");
        put(fd, "after\n", 6);
        expect(fd, "before\nbetween\nafter\n");
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

// What is not there for programs in general: other names of the C library's own functions.
ssize_t __read(int, void *, size_t), __write(int, const void *, size_t), __send(int, const void *, size_t, int);
int __close(int), __poll(struct pollfd *, nfds_t, int), __fcntl(int, int, ...), __dup2(int, int);
int __connect(int, const struct sockaddr *, socklen_t), __select(int, fd_set *, fd_set *, fd_set *, struct timeval *);

static void renamed_on(int fd) {
    char got[4];
    struct iovec piece = {"six\n", 4}, room = {got, 4};
    for (int turn = 0; turn < 50; turn++) {
        check(__write(fd, "one\n", 4) == 4 && __send(fd, "two\n", 4, 0) == 4, "__write, __send");
        put(fd, "four\n", 5);
        struct pollfd set = {.fd = fd, .events = POLLIN};
        check(__poll(&set, 1, 60000) == 1, "__poll");
        expect(fd, "one\ntwo\n");
        fd_set sets;
        FD_ZERO(&sets);
        FD_SET(fd, &sets);
        struct timeval limit = {60, 0};
        check(__select(fd + 1, &sets, NULL, NULL, &limit) == 1, "__select");
        check(__read(fd, got, 1) == 1 && got[0] == 'f', "__read");
        expect(fd, "our\n");
    }
    check(__dup2(fd, 50) == 50 && __close(fd) == 0 && (fd = __fcntl(50, F_DUPFD, 60)) >= 60 && close(50) == 0, "__dup2, __close, __fcntl");
    ask(fd, "by another number\n");
    put(fd, "before\n", 7);
    check(pwritev64v2(fd, &piece, 1, -1, 0) == 4, "pwritev64v2");
    expect(fd, "before\n");
    check(preadv64v2(fd, &room, 1, -1, 0) == 4 && !memcmp(got, "six\n", 4), "preadv64v2");
}

static void renamed(void) {
    renamed_on(used());
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = place(atoi(port_text));
    check(__connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "__connect");
    renamed_on(fd);
}

// Calls wait for as long as the program wants, be that longer than anybody sleeps at once, or longer than there is time.
static void limited(void) {
    int fd = used(), set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN}, told;
    check(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
    struct timespec ever = {LONG_MAX, 0};
    struct timeval also = {LONG_MAX, 0};
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    fd_set sets;
    for (int turn = 0; turn < 4; turn++) {
        put(fd, "in time\n", 8);
        FD_ZERO(&sets);
        FD_SET(fd, &sets);
        switch (turn) {
            case 0: check(ppoll(&entry, 1, &ever, NULL) == 1, "ppoll"); break;
            case 1: check(select(fd + 1, &sets, NULL, NULL, &also) == 1, "select"); break;
            case 2: check(pselect(fd + 1, &sets, NULL, NULL, &ever, NULL) == 1, "pselect"); break;
            case 3: check(epoll_pwait2(set, &told, 1, &ever, NULL) == 1, "epoll_pwait2"); break;
        }
        expect(fd, "in time\n");
    }
    struct timeval limit = {0, 700000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    static char bytes[1 << 20];
    double begun = now();
    check(recv(fd, bytes, 1, 0) == -1 && errno == EAGAIN && now() - begun > 0.6, "recv waits as it is to");
    put(fd, "nap 20\n", 7);
    double first = now();
    ssize_t sent;
    do begun = now(), sent = send(fd, bytes, sizeof bytes, 0); while (sent > 0);
    check(sent == -1 && errno == EAGAIN && now() - begun > 0.6, "send waits as it is to");
    check(now() - first < 19, "send waits no longer than it is to");
}

// It is readable when as many bytes are there as the program wants.
static void low(void) {
    int fd = used(), least = 6;
    check(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least) == 0, "SO_RCVLOWAT");
    for (int turn = 0; turn < 3; turn++) {
        struct pollfd set = {.fd = fd, .events = POLLIN};
        put(fd, "abc\n", 4);
        check(poll(&set, 1, 300) == 0, "it is readable too early");
        put(fd, "de\n", 3);
        check(poll(&set, 1, 60000) == 1, "it is not readable");
        expect(fd, "abc\nde\n");
    }
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
    int fourth = syscall(SYS_dup, third), fifth = syscall(SYS_fcntl, third, (long)F_DUPFD, 200L);
    struct timespec minute = {60, 0}, none = {0, 0};
    for (int turn = 0; turn < 40; turn++) {
        put(fd, "once more\n", 10);
        int by = turn < 20 ? fourth : fifth;
        check(syscall(SYS_epoll_pwait2, by, &told, 1L, &minute, NULL, 8L) == 1 && told.data.u32 == 7, "the set is silent by number");
        expect(fd, "once more\n");
        check(syscall(SYS_epoll_pwait2, by, &told, 1L, &none, NULL, 8L) == 0, "the set says more by number than there is");
    }
    check(epoll_ctl(third, EPOLL_CTL_DEL, fd, NULL) == 0 && epoll_ctl(third, EPOLL_CTL_DEL, fd, NULL) == -1, "it watches nothing");
    fd = used(), set = syscall(SYS_epoll_create1, 0L);
    check(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl of a set by number");
    for (int turn = 0; turn < 20; turn++) {
        put(fd, "once more\n", 10);
        check(epoll_wait(set, &told, 1, 60000) == 1 && told.data.u32 == 7, "a set by number is silent");
        expect(fd, "once more\n");
    }
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
    get_burst(fd);
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

// The C library runs a shell by itself.
static void shelled(void) {
    for (int turn = 0; turn < 2; turn++) {
        int fd = loaded();
        char command[300];
        snprintf(command, sizeof command, "%s given %s %d", self, port_text, fd);
        check((turn ? pclose(popen(command, "r")) : system(command)) == 0, "a shell");
        close(fd);
    }
}

// Over a Unix socket, to a program that runs already; our own descriptor is closed before the other has read anything.
static void pass(int way) {
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
    struct mmsghdr several = {.msg_hdr = message};
    switch (way) {
        case 0: check(sendmsg(pair[0], &message, 0) == 1, "sendmsg"); break;
        case 1: check(syscall(SYS_sendmsg, pair[0], &message, 0L) == 1, "sendmsg by its number"); break;
        case 2: check(sendmmsg(pair[0], &several, 1, 0) == 1, "sendmmsg"); break;
        case 3: check(syscall(SYS_sendmmsg, pair[0], &several, 1L, 0L) == 1, "sendmmsg by its number"); break;
    }
    close(fd);
    ended_well(child);
}

static void passed(void) {
    for (int way = 0; way < 4; way++) pass(way);
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

// Both ends give a connection away at about the same moment, while bytes are on their way in both directions.
static void crossed(void) {
    for (int turn = 0; turn < 60; turn++) {
        pid_t child = fork();
        if (child == 0) {
            int fd = used();
            char line[64];
            double when = now() + 0.02;
            snprintf(line, sizeof line, "cross %.9f", when);
            put(fd, line, strlen(line));
            put(fd, "\n", 1);
            expect(fd, line);
            put_burst(fd);
            // From well before the other end to well after it.
            become("given", fd, when + (turn - 30) * abs(turn - 30) * 5e-6);
        }
        ended_well(child);
    }
}

static void asked(void) { used(); }

int main(int count, char **words) {
    check(count >= 3, "ways PART PORT");
    self = words[0];
    snprintf(port_text, sizeof port_text, "%s", words[2]);
    alarm(100);
    const struct { const char *name; void (*run)(void); } parts[] = {
        {"printed", printed}, {"stream", stream}, {"numbered", numbered}, {"replaced", replaced},
        {"renamed", renamed}, {"limited", limited}, {"low", low}, {"shelled", shelled},
        {"mistaken", mistaken}, {"watched", watched}, {"bereaved", bereaved},
        {"used", asked}, {"crossed", crossed}, {"forked", forked}, {"borrowed", borrowed}, {"spawned", spawned}, {"passed", passed},
    };
    if (!strcmp(words[1], "serve")) alarm(0), serve(atoi(words[2]), count > 3 ? words[3] : "");
    if (!strcmp(words[1], "accepting")) alarm(0), accepting(atoi(words[3]));
    if (!strcmp(words[1], "given")) given(atoi(words[3]));
    if (!strcmp(words[1], "answering")) get_burst(atoi(words[3])), answer(atoi(words[3]));
    if (!strcmp(words[1], "taken")) taken(atoi(words[3]));
    for (unsigned index = 0; index < sizeof parts / sizeof *parts; index++) {
        if (!strcmp(parts[index].name, words[1])) return parts[index].run(), 0;
    }
    return 1;
}
