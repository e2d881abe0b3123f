// What could go wrong for a program whose connections are carried: threads that are cancelled, descriptors that are closed under a
// call, processes that end at once. Clients of ways.c's server, with TCP's answers.
#include "ways.h"
#include <pthread.h>
#include <sched.h>
#include <sys/time.h>

enum { SPARES = 150, CANCELLED = 200, HELD = 300, FORKS = 80, CUT = 400000, TAKEN_BACK = 600 };

// What is to be looked at is waited for until all of it is there, and stays.
static void peeked(void) {
    int fd = used();
    char got[12];
    put(fd, "begin\nlater 200\n", 16);
    check(recv(fd, got, 12, MSG_PEEK | MSG_WAITALL) == 12 && !memcmp(got, "begin\nlater\n", 12), "a part of what was to be seen");
    expect(fd, "begin\n"), expect(fd, "later\n");
    ask(fd, "a line as any other\n");
}

// Both ends of a connection that has been used for a while.
static void meet(int pair[2]) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = place(atoi(port_text) + 1);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    check(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 1) == 0, "listen");
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(pair[0], (struct sockaddr *)&at, sizeof at) == 0, "connect");
    pair[1] = accept(listener, NULL, NULL);
    for (int turn = 0; turn < 50; turn++) {
        put(pair[0], "ask\n", 4), expect(pair[1], "ask\n");
        put(pair[1], "say\n", 4), expect(pair[0], "say\n");
    }
    close(listener);
}

// Messages that are sent together stop behind the one that went in part.
static void cut(void) {
    int position = 0;
    static char bytes[CUT], got[4 * CUT];
    for (int index = 0; index < CUT; index++) bytes[index] = byte_at(index);
    int pair[2];
    meet(pair);
    // As much as there is, in turns that read less than what is written.
    int sent = 0, is_cut = 0;
    for (int turn = 0; turn < 60; turn++) {
        struct iovec pieces[2] = {{bytes + sent % CUT, CUT - sent % CUT}, {bytes, CUT}};
        struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = pieces, .msg_iovlen = 1}}, {.msg_hdr = {.msg_iov = pieces + 1, .msg_iovlen = 1}}};
        int count = sendmmsg(pair[0], messages, 2, MSG_DONTWAIT);
        check(count >= 0 || errno == EAGAIN, "sendmmsg");
        for (int index = 0; index < count; index++) {
            sent += messages[index].msg_len;
            int is_whole = messages[index].msg_len == pieces[index].iov_len;
            check(is_whole || index == count - 1, "a message went behind one that did not go whole");
            is_cut |= !is_whole;
        }
        for (int wanted = 150000, more; wanted > 0 && (more = recv(pair[1], got, wanted, MSG_DONTWAIT)) > 0; wanted -= more)
            for (int index = 0; index < more; index++) check(got[index] == byte_at(position++ % CUT), "another byte");
    }
    check(is_cut, "all went whole, and nothing was tried");
    close(pair[0]);
    for (int more; (more = recv(pair[1], got, sizeof got, 0)) > 0;)
        for (int index = 0; index < more; index++) check(got[index] == byte_at(position++ % CUT), "another byte");
    check(position == sent, "bytes are missing");
    close(pair[1]);
}

// What was written before the end is there for whoever reads it, another program too.
static void ended(void) {
    for (int turn = 0; turn < 4; turn++) {
        int pair[2], count = 0;
        char command[64], last;
        meet(pair);
        put_burst(pair[0]);
        if (turn % 2) close(pair[0]);
        else shutdown(pair[0], SHUT_WR);
        // The reader has had some of it, or nothing.
        for (int index = 0; turn < 2 && index < 1000; index++) check(recv(pair[1], &last, 1, 0) == 1 && last == byte_at(index), "another byte");
        snprintf(command, sizeof command, "wc -c <&%d", pair[1]);
        FILE *counting = popen(command, "r");
        check(counting && fscanf(counting, "%d", &count) == 1 && pclose(counting) == 0, "a program that counts");
        if (count != BURST - (turn < 2 ? 1000 : 0)) fprintf(stderr, "%d bytes\n", count);
        check(count == BURST - (turn < 2 ? 1000 : 0), "bytes are missing");
        close(pair[1]);
    }
}

static volatile int shared_fd;

static void *asks(void *unused) {
    for (;;) ask(shared_fd, "a line as any other\n");
    return unused;
}

static void *waits(void *unused) {
    char got[8];
    recv(shared_fd, got, sizeof got, 0);
    return unused;
}

// A thread is cancelled in the middle of whatever it does, and the process goes on, with a connection as good as before.
static void cancelled(void) {
    double begun = now();
    for (int turn = 0; turn < CANCELLED; turn++) {
        pthread_t thread;
        shared_fd = turn % 20 ? shared_fd : used();
        int is_waiting = turn % 2;
        check(pthread_create(&thread, NULL, is_waiting ? waits : asks, NULL) == 0, "a thread");
        usleep(turn * 37 % 3000);
        pthread_cancel(thread);
        check(pthread_join(thread, NULL) == 0, "it ends");
        // What it had asked is answered to nobody.
        if (!is_waiting) close(shared_fd), shared_fd = used();
        else ask(shared_fd, "a line as any other\n");
    }
    check(now() - begun < 60, "who slept and was cancelled keeps others");
}

static volatile int is_reading;

// Waits in one of three ways for a line, for which there is a minute, and answers it.
static void *answers_in_time(void *way) {
    struct pollfd entry = {.fd = shared_fd, .events = POLLIN};
    struct epoll_event event = {.events = EPOLLIN};
    struct timeval minute = {60, 0};
    fd_set readable;
    int set = epoll_create1(0), told;
    check(epoll_ctl(set, EPOLL_CTL_ADD, shared_fd, &event) == 0, "epoll_ctl");
    FD_ZERO(&readable);
    FD_SET(shared_fd, &readable);
    is_reading = 1;
    switch (*(int *)way) {
        case 0: told = poll(&entry, 1, 60000); break;
        case 1: told = select(shared_fd + 1, &readable, NULL, NULL, &minute); break;
        default: told = epoll_wait(set, &event, 1, 60000);
    }
    check(told == 1, "who may wait for a minute was told of nothing");
    expect(shared_fd, "ask\n"), put(shared_fd, "say\n", 4);
    // What it has sent may have to be sent once more, and that is done in its calls.
    expect(shared_fd, "end\n");
    close(set);
    return NULL;
}

// What was written, and is sent by TCP instead since its writer goes back to that, is there for who waits.
static void taken_back(void) {
    for (int turn = 0; turn < TAKEN_BACK; turn++) {
        int pair[2], way = turn % 3;
        char got[4];
        pthread_t thread;
        meet(pair);
        shared_fd = pair[1], is_reading = 0;
        check(pthread_create(&thread, NULL, answers_in_time, &way) == 0, "a thread");
        while (!is_reading) sched_yield();
        for (volatile int spin = turn * 37 % 5000; spin > 0; spin--) {}
        put(pair[0], "ask\n", 4);
        check(recv(pair[0], got, 4, MSG_PEEK | MSG_WAITALL) == 4 && !memcmp(got, "say\n", 4), "what was to be seen");
        put(pair[0], "end\n", 4);
        pthread_join(thread, NULL);
        close(pair[0]), close(pair[1]);
    }
}

static void *reads(void *answer) {
    char got[8];
    is_reading = 1;
    *(ssize_t *)answer = recv(shared_fd, got, sizeof got, 0);
    return NULL;
}

// A descriptor is closed under a call, and another connection has its number: its bytes are not the call's.
static void closed(void) {
    for (int turn = 0; turn < 20; turn++) {
        pthread_t thread;
        ssize_t answer = 0;
        shared_fd = used();
        is_reading = 0;
        check(pthread_create(&thread, NULL, reads, &answer) == 0, "a thread");
        while (!is_reading) usleep(1000);
        usleep(20000);
        int before = shared_fd;
        close(before);
        int next = used();
        for (int more = 0; more < 20; more++) ask(next, "a line as any other\n");
        close(next);
        if (before == next) pthread_cancel(thread);
        pthread_join(thread, NULL);
        check(answer <= 0, "bytes of another connection");
    }
}

static int spares[SPARES];
static volatile int spares_left;

static void in_the_middle(int number) {
    (void)number;
    int before = errno, turn = --spares_left;
    if (turn < 0) return;
    pid_t child = turn % 2 ? 0 : fork();
    if (turn % 2 == 0 && child == 0) _exit(0);
    if (child > 0) waitpid(child, NULL, 0);
    close(spares[turn]);
    errno = before;
}

// A signal's handler closes connections and forks, in whatever moment of its thread's changing what a set watches.
static void interrupted(void) {
    int set = epoll_create1(0), fd = used();
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = 7}, told[8];
    check(epoll_ctl(set, EPOLL_CTL_ADD, fd, &wanted) == 0, "epoll_ctl");
    for (int index = 0; index < SPARES; index++) {
        struct epoll_event spare = {.events = EPOLLIN, .data.u64 = 100 + index};
        spares[index] = used();
        check(epoll_ctl(set, EPOLL_CTL_ADD, spares[index], &spare) == 0, "epoll_ctl");
    }
    spares_left = SPARES;
    signal(SIGCHLD, SIG_DFL);
    signal(SIGALRM, in_the_middle);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 1000}, {0, 1000}}, NULL);
    for (long turn = 0; spares_left > 0; turn++) {
        wanted.events = turn % 2 ? EPOLLIN : EPOLLIN | EPOLLOUT;
        check(epoll_ctl(set, EPOLL_CTL_MOD, fd, &wanted) == 0, "epoll_ctl");
    }
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    wanted.events = EPOLLIN;
    check(epoll_ctl(set, EPOLL_CTL_MOD, fd, &wanted) == 0, "epoll_ctl");
    check(epoll_wait(set, told, 8, 20) == 0, "something is told, and nothing happened");
    for (int turn = 0; turn < 50; turn++) {
        put(fd, "a line as any other\n", 20);
        check(epoll_wait(set, told, 8, 10000) == 1 && told[0].data.u64 == 7, "what came is told, of whom it came to");
        expect(fd, "a line as any other\n");
    }
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    int memories = 0;
    while (fgets(line, sizeof line, maps)) memories += strstr(line, "memfd:weft") != NULL;
    check(memories <= 1, "the memory of what was closed");
    fclose(maps), close(fd), close(set);
}

// Children that end at once hold nothing any more: more connections than there is room for come and go, and those after them are
// carried as the first was.
static void left(void) {
    static int held[HELD];
    signal(SIGCHLD, SIG_DFL);
    for (int turn = 0; turn < FORKS; turn++) {
        for (int index = 0; index < HELD; index++) {
            held[index] = socket(AF_INET, SOCK_STREAM, 0);
            struct sockaddr_in at = place(1);
            check(connect(held[index], (struct sockaddr *)&at, sizeof at) == -1 && errno == ECONNREFUSED, "nobody listens there");
        }
        pid_t child = fork();
        if (child == 0) _exit(0);
        check(waitpid(child, NULL, 0) == child, "a child");
        for (int index = 0; index < HELD; index++) close(held[index]);
    }
    int fd = used();
    put(fd, "pid\n", 4);
    pause();
}

int main(int count, char **words) {
    check(count == 3, "perils PART PORT");
    snprintf(port_text, sizeof port_text, "%s", words[2]);
    struct { const char *name; void (*play)(void); } parts[] = {
        {"peeked", peeked}, {"cut", cut}, {"ended", ended}, {"cancelled", cancelled}, {"closed", closed},
        {"taken-back", taken_back}, {"interrupted", interrupted}, {"left", left},
    };
    for (size_t index = 0; index < sizeof parts / sizeof *parts; index++)
        if (!strcmp(words[1], parts[index].name)) return parts[index].play(), 0;
    check(0, "no such part");
}
