// What the C library's calls answer on a connection whose ends have met: the same as on any other. Clients of ways.c's server.
#include "ways.h"
#include <linux/errqueue.h>
#include <linux/io_uring.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>

enum { TURNS = 30, SOON_MS = 100, LONG_MS = 10000 };

static int is_told(int set, int wait_ms, unsigned tag) {
    struct epoll_event told;
    int count = epoll_wait(set, &told, 1, wait_ms);
    check(count >= 0, "epoll_wait");
    check(count == 0 || told.data.u32 == tag, "another tag");
    return count;
}

static void control(int set, int operation, int fd, unsigned events, unsigned tag) {
    struct epoll_event event = {.events = events, .data.u32 = tag};
    check(epoll_ctl(set, operation, fd, &event) == 0, "epoll_ctl");
}

static void is_readable(int fd) {
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    check(poll(&entry, 1, LONG_MS) == 1 && entry.revents == POLLIN, "it is not readable");
}

static void once(void) {
    int fd = used(), set = epoll_create1(0);
    control(set, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT, 1);
    for (int turn = 0; turn < 4; turn++) {
        put(fd, "one\n", 4);
        check(is_told(set, LONG_MS, 1), "a set that tells once is silent");
        put(fd, "two\n", 4);
        check(!is_told(set, SOON_MS, 1), "it tells twice");
        expect(fd, "one\n");
        control(set, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 1);
        check(is_told(set, LONG_MS, 1), "it is silent of what was there");
        expect(fd, "two\n");
        control(set, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 1);
        check(!is_told(set, 0, 1), "it tells of nothing");
    }
    // One of a set's threads each: the second direction is told of once, too.
    control(set, EPOLL_CTL_MOD, fd, EPOLLOUT | EPOLLONESHOT, 2);
    check(is_told(set, LONG_MS, 2) && !is_told(set, 0, 2), "room is told of once");
}

static void edges(void) {
    int fd = used(), set = epoll_create1(0);
    control(set, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, 1);
    for (int turn = 0; turn < 4; turn++) {
        put(fd, "one\n", 4);
        check(is_told(set, LONG_MS, 1), "an edge is not told of");
        check(!is_told(set, turn ? 0 : SOON_MS, 1), "it is told of twice");
        put(fd, "two\n", 4);
        check(is_told(set, LONG_MS, 1), "the next edge is not told of");
        expect(fd, "one\ntwo\n");
        check(!is_told(set, 0, 1), "it tells of nothing");
    }
}

static void exclusive(void) {
    int fd = used(), sets[2] = {epoll_create1(0), epoll_create1(0)};
    for (int each = 0; each < 2; each++) control(sets[each], EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE, each);
    struct epoll_event event = {.events = EPOLLIN};
    check(epoll_ctl(sets[0], EPOLL_CTL_MOD, fd, &event) == -1 && errno == EINVAL, "what is exclusive cannot be changed");
    for (int turn = 0; turn < TURNS; turn++) {
        put(fd, "once more\n", 10);
        is_readable(fd);
        for (int each = 0; each < 2; each++) check(is_told(sets[each], 0, each), "an exclusive set is silent");
        expect(fd, "once more\n");
        for (int each = 0; each < 2; each++) check(!is_told(sets[each], 0, each), "it tells of nothing");
        put(fd, "later 20\n", 9);
        check(is_told(sets[turn % 2], LONG_MS, turn % 2), "an exclusive set sleeps on");
        expect(fd, "later\n");
    }
    check(epoll_ctl(sets[0], EPOLL_CTL_DEL, fd, NULL) == 0, "epoll_ctl");
    put(fd, "once more\n", 10);
    check(is_told(sets[1], LONG_MS, 1) && !is_told(sets[0], 0, 0), "one of two sets");
    expect(fd, "once more\n");
}

static void nested(void) {
    int fd = used(), inner = epoll_create1(0), middle = epoll_create1(0), outer = epoll_create1(0);
    control(inner, EPOLL_CTL_ADD, fd, EPOLLIN, 1);
    control(middle, EPOLL_CTL_ADD, inner, EPOLLIN, 2);
    control(outer, EPOLL_CTL_ADD, middle, EPOLLIN, 3);
    struct pollfd entry = {.fd = outer, .events = POLLIN};
    for (int turn = 0; turn < TURNS; turn++) {
        if (turn % 3) put(fd, "later\n", 6);
        else put(fd, "later 20\n", 9);
        int is_inner = 0;
        // Two ends that have just met may wake a set of sets once without having anything to tell.
        for (int look = 0; !is_inner && look < 3; look++) {
            if (turn % 2) check(poll(&entry, 1, LONG_MS) == 1 && entry.revents == POLLIN, "a set of sets is not readable");
            check(is_told(outer, LONG_MS, 3), "a set of sets is silent");
            is_inner = is_told(middle, 0, 2) && is_told(inner, 0, 1);
        }
        check(is_inner, "a set of sets has nothing to tell");
        expect(fd, "later\n");
        check(!is_told(outer, 0, 3) && !is_told(middle, 0, 2) && !is_told(inner, 0, 1), "a set of sets tells of nothing");
        check(poll(&entry, 1, 0) == 0, "a set of sets is readable without reason");
    }
}

// One set, with connections that are carried and with others.
static void mixed(void) {
    int carried[2] = {used(), used()}, pair[2], pipes[2], set = epoll_create1(0), fresh = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = place(atoi(port_text));
    check(connect(fresh, (struct sockaddr *)&at, sizeof at) == 0, "connect");
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipes) == 0, "pairs");
    int all[] = {carried[0], carried[1], pair[0], pipes[0], fresh}, count = sizeof all / sizeof *all;
    for (int each = 0; each < count; each++) control(set, EPOLL_CTL_ADD, all[each], EPOLLIN, each);
    for (int turn = 0; turn < TURNS; turn++) {
        unsigned wanted = 1 + turn % 31, seen = 0;
        if (wanted & 1) put(carried[0], "once more\n", 10);
        if (wanted & 2) put(carried[1], "once more\n", 10);
        if (wanted & 4) check(write(pair[1], "x", 1) == 1, "write");
        if (wanted & 8) check(write(pipes[1], "x", 1) == 1, "write");
        if (wanted & 16) put(fresh, "x\n", 2);
        // One at a time: nobody hides behind another.
        for (double begun = now(); now() - begun < 3 && seen != wanted;) {
            struct epoll_event told[2];
            int got = epoll_wait(set, told, 1 + turn % 2, LONG_MS);
            check(got > 0, "a mixed set is silent");
            for (int each = 0; each < got; each++) seen |= 1 << told[each].data.u32;
        }
        check(seen == wanted, "a mixed set does not tell of all");
        char byte[2];
        if (wanted & 1) expect(carried[0], "once more\n");
        if (wanted & 2) expect(carried[1], "once more\n");
        if (wanted & 4) check(read(pair[0], byte, 1) == 1, "read");
        if (wanted & 8) check(read(pipes[0], byte, 1) == 1, "read");
        if (wanted & 16) expect(fresh, "x\n");
        struct epoll_event told;
        check(epoll_wait(set, &told, 1, 0) == 0, "a mixed set tells of nothing");
    }
}

static void spliced(void) {
    int fd = used(), pipes[2];
    check(pipe(pipes) == 0, "pipe");
    for (int turn = 0; turn < TURNS; turn++) {
        put(fd, "before\n", 7);
        check(write(pipes[1], "between\n", 8) == 8, "write to a pipe");
        check(splice(pipes[0], NULL, fd, NULL, 100, 0) == 8, "splice to a connection");
        put(fd, "after\n", 6);
        expect(fd, "before\nbetween\nafter\n");
    }
    check(splice(pipes[0], NULL, fd, NULL, 100, SPLICE_F_NONBLOCK) == -1 && errno == EAGAIN, "splice of nothing");
    for (int turn = 0; turn < TURNS; turn++) {
        char got[16] = "";
        put(fd, "once more\n", 10);
        if (turn % 2) usleep(1000);
        for (int done = 0; done < 10;) {
            ssize_t more = splice(fd, NULL, pipes[1], NULL, 10 - done, 0);
            check(more > 0, "splice from a connection");
            done += more;
        }
        check(read(pipes[0], got, 16) == 10 && !strcmp(got, "once more\n"), "what was spliced");
        ask(fd, "a line as any other\n");
    }
}

static void filed(void) {
    enum { LINES = 1000 };
    int fd = used();
    FILE *file = tmpfile();
    check(file != NULL, "tmpfile");
    for (int line = 0; line < LINES; line++) fprintf(file, "line %04d\n", line);
    fflush(file);
    for (int turn = 0; turn < 4; turn++) {
        off_t offset = turn % 2 ? 5000 : 0;
        check(lseek(fileno(file), offset, SEEK_SET) == offset, "lseek");
        size_t left = LINES * 10 - offset;
        put(fd, "before\n", 7);
        while (left > 0) {
            ssize_t sent = sendfile(fd, fileno(file), turn < 2 ? &offset : NULL, left);
            check(sent > 0, "sendfile");
            left -= sent;
        }
        check(turn < 2 ? offset == LINES * 10 : lseek(fileno(file), 0, SEEK_CUR) == LINES * 10, "where it ended");
        put(fd, "after\n", 6);
        expect(fd, "before\n");
        for (int line = turn % 2 ? 500 : 0; line < LINES; line++) {
            char text[16];
            sprintf(text, "line %04d\n", line);
            expect(fd, text);
        }
        expect(fd, "after\n");
    }
}

static volatile sig_atomic_t urgent_signals;
static void count_urgent(int signal) { (void)signal, urgent_signals++; }

static int is_at_mark(int fd) {
    int is_there = -1;
    check(ioctl(fd, SIOCATMARK, &is_there) == 0, "SIOCATMARK");
    return is_there;
}

static void urgent(void) {
    signal(SIGURG, count_urgent);
    for (int is_inline = 0; is_inline < 2; is_inline++) {
        int fd = used(), before = urgent_signals;
        char got[8] = "";
        check(fcntl(fd, F_SETOWN, getpid()) == 0, "F_SETOWN");
        check(setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &is_inline, sizeof is_inline) == 0, "SO_OOBINLINE");
        check(recv(fd, got, 1, MSG_OOB) == -1 && errno == EINVAL, "there is nothing urgent");
        put(fd, "a line\nurgent\n", 14);
        struct pollfd entry = {.fd = fd, .events = POLLPRI};
        check(poll(&entry, 1, LONG_MS) == 1 || (errno == EINTR && poll(&entry, 1, LONG_MS) == 1), "nothing is urgent");
        check(entry.revents == POLLPRI && urgent_signals > before, "a signal");
        expect(fd, "a line\n");
        check(!is_at_mark(fd), "the mark is not here yet");
        check(recv(fd, got, sizeof got, 0) == 2 && !memcmp(got, "ab", 2) && is_at_mark(fd), "nothing is read past the mark");
        if (is_inline) check(recv(fd, got, 1, MSG_OOB) == -1 && errno == EINVAL && recv(fd, got, 1, 0) == 1 && *got == 'c', "inline");
        else check(recv(fd, got, 1, MSG_OOB) == 1 && *got == 'c', "MSG_OOB");
        expect(fd, "de\n");
        check(!is_at_mark(fd), "the mark is passed");
        ask(fd, "hear\n");
        put(fd, "xy", 2);
        check(send(fd, "z", 1, MSG_OOB) == 1, "send of an urgent byte");
        expect(fd, "z\n");
        put(fd, "\n", 1);
        expect(fd, "xy\n");
    }
}

static volatile sig_atomic_t alarms;
static void count_alarm(int signal) { (void)signal, alarms++; }

// A signal in a moment, after whose handler calls go on, or not.
static void interrupt(int is_restarting) {
    struct sigaction action = {.sa_handler = count_alarm, .sa_flags = is_restarting ? SA_RESTART : 0};
    struct itimerval moment = {.it_value.tv_usec = 50000};
    check(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &moment, NULL) == 0, "setitimer");
    alarms = 0;
}

static void was_interrupted(ssize_t answer, const char *what) { check(answer == -1 && errno == EINTR && alarms == 1, what); }

static void signals(void) {
    int fd = used(), set = epoll_create1(0);
    char got[16] = "";
    static char many[8 << 20];
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    struct timespec limit = {LONG_MS / 1000, 0};
    struct timeval also = {LONG_MS / 1000, 0}, none = {0, 0};
    struct epoll_event told;
    control(set, EPOLL_CTL_ADD, fd, EPOLLIN, 1);
    for (int is_restarting = 0; is_restarting < 2; is_restarting++) {
        interrupt(is_restarting);
        put(fd, "later 200\n", 10);
        ssize_t answer = recv(fd, got, 6, 0);
        if (is_restarting) check(answer == 6 && !memcmp(got, "later\n", 6) && alarms == 1, "recv goes on");
        else was_interrupted(answer, "recv"), expect(fd, "later\n");
        interrupt(is_restarting);
        put(fd, "later 200\n", 10);
        answer = read(fd, got, 6);
        if (is_restarting) check(answer == 6 && !memcmp(got, "later\n", 6) && alarms == 1, "read goes on");
        else was_interrupted(answer, "read"), expect(fd, "later\n");
        // Who has some of what it wanted is given that.
        put(fd, "begin\nlater 200\n", 16);
        interrupt(is_restarting);
        check(recv(fd, got, 12, MSG_WAITALL) == 6 && !memcmp(got, "begin\n", 6) && alarms == 1, "a part of what was waited for");
        expect(fd, "later\n");
        // Calls whose time is limited do not go on in any case.
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &also, sizeof also);
        interrupt(is_restarting), was_interrupted(recv(fd, got, 1, 0), "recv with a limit");
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
        interrupt(is_restarting), was_interrupted(poll(&entry, 1, LONG_MS), "poll");
        interrupt(is_restarting), was_interrupted(ppoll(&entry, 1, &limit, NULL), "ppoll");
        fd_set sets;
        FD_ZERO(&sets);
        FD_SET(fd, &sets);
        interrupt(is_restarting), was_interrupted(select(fd + 1, &sets, NULL, NULL, &(struct timeval){LONG_MS / 1000, 0}), "select");
        interrupt(is_restarting), was_interrupted(epoll_wait(set, &told, 1, LONG_MS), "epoll_wait");
        // A signal that comes in the call's mask alone.
        sigset_t blocked, before;
        sigemptyset(&blocked), sigaddset(&blocked, SIGALRM);
        sigprocmask(SIG_BLOCK, &blocked, &before);
        interrupt(is_restarting), usleep(100000);
        check(alarms == 0, "it is blocked");
        was_interrupted(ppoll(&entry, 1, &limit, &before), "ppoll with a mask");
        interrupt(is_restarting), usleep(100000);
        was_interrupted(epoll_pwait(set, &told, 1, LONG_MS, &before), "epoll_pwait with a mask");
        sigprocmask(SIG_SETMASK, &before, NULL);
        ask(fd, "a line as any other\n");
        int full = used();
        put(full, "nap 60\n", 7);
        usleep(20000);
        interrupt(is_restarting);
        ssize_t sent = send(full, many, sizeof many, 0);
        check(sent > 0 && sent < (ssize_t)sizeof many && alarms == 1, "a part of what was to be sent");
        while (send(full, many, sizeof many, MSG_DONTWAIT) > 0) continue;
        check(errno == EAGAIN, "there is no room");
        setsockopt(full, SOL_SOCKET, SO_SNDTIMEO, &also, sizeof also);
        interrupt(is_restarting), was_interrupted(send(full, many, 1 << 20, 0), "send with a limit");
        // Who naps is woken.
        setsockopt(full, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        close(full);
    }
}

static void flags(void) {
    int fd = used();
    char got[64];
    for (int turn = 0; turn < TURNS; turn++) {
        put(fd, "one two\n", 8);
        check(recv(fd, got, 3, MSG_PEEK) == 3 && !memcmp(got, "one", 3), "MSG_PEEK");
        is_readable(fd);
        check(recv(fd, got, sizeof got, MSG_PEEK) == 8 && !memcmp(got, "one two\n", 8), "MSG_PEEK of more");
        int count = -1;
        check(ioctl(fd, FIONREAD, &count) == 0 && count == 8, "FIONREAD");
        check(recv(fd, NULL, 4, MSG_TRUNC) == 4, "MSG_TRUNC");
        struct sockaddr_in from;
        socklen_t len = sizeof from;
        check(recvfrom(fd, got, 2, 0, (struct sockaddr *)&from, &len) == 2 && !memcmp(got, "tw", 2) && len == 0, "recvfrom");
        char control[64];
        struct iovec pieces[3] = {{got, 1}, {NULL, 0}, {got + 1, 10}};
        struct msghdr message = {&from, sizeof from, pieces, 3, control, sizeof control, -1};
        check(recvmsg(fd, &message, 0) == 2 && !memcmp(got, "o\n", 2), "recvmsg");
        check(message.msg_namelen == 0 && message.msg_controllen == 0 && message.msg_flags == 0, "what recvmsg says");
        check(recv(fd, got, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN, "MSG_DONTWAIT");
        check(recv(fd, got, 1, MSG_DONTWAIT | MSG_PEEK) == -1 && errno == EAGAIN, "MSG_PEEK of nothing");
        check(read(fd, got, 0) == 0 && send(fd, got, 0, 0) == 0, "nothing");
        check(recv(fd, got, 0, MSG_DONTWAIT) == -1 && errno == EAGAIN, "recv of nothing waits for bytes");
        put(fd, turn % 2 ? "begin\nlater\n" : "begin\nlater 5\n", turn % 2 ? 12 : 14);
        check(recv(fd, got, 12, MSG_WAITALL) == 12 && !memcmp(got, "begin\nlater\n", 12), "MSG_WAITALL");
        struct iovec lines[2] = {{"one\n", 4}, {"two\n", 4}};
        struct mmsghdr several[2] = {{.msg_hdr = {.msg_iov = lines, .msg_iovlen = 1}}, {.msg_hdr = {.msg_iov = lines + 1, .msg_iovlen = 1}}};
        check(sendmmsg(fd, several, 2, 0) == 2 && several[0].msg_len == 4 && several[1].msg_len == 4, "sendmmsg");
        struct iovec rooms[2] = {{got, 4}, {got + 4, 4}};
        for (int each = 0; each < 2; each++) several[each].msg_hdr.msg_iov = rooms + each;
        int messages = recvmmsg(fd, several, 2, MSG_WAITALL, NULL);
        check(messages > 0 && several[0].msg_len == 4 && !memcmp(got, "one\n", 4), "recvmmsg");
        if (messages == 1) expect(fd, "two\n");
        else check(messages == 2 && several[1].msg_len == 4 && !memcmp(got + 4, "two\n", 4), "recvmmsg of two");
        check(send(fd, "more\n", 5, MSG_MORE) == 5 && send(fd, "less\n", 5, 0) == 5, "MSG_MORE");
        expect(fd, "more\nless\n");
        check(send(fd, "plain\n", 6, turn == TURNS - 1 ? MSG_ZEROCOPY : 0) == 6, "MSG_ZEROCOPY that was not asked for");
        expect(fd, "plain\n");
    }
    check(recv(fd, got, 1, MSG_ERRQUEUE) == -1 && errno == EAGAIN, "nothing to report");
    fd = used();
    int one = 1;
    check(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one) == 0, "SO_ZEROCOPY");
    check(send(fd, "zero\n", 5, MSG_ZEROCOPY) == 5, "MSG_ZEROCOPY");
    expect(fd, "zero\n");
    char control[128];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
    struct pollfd entry = {.fd = fd};
    check(poll(&entry, 1, LONG_MS) == 1 && entry.revents == POLLERR, "a report is there");
    check(recvmsg(fd, &message, MSG_ERRQUEUE) == 0, "a report");
    struct sock_extended_err *report = (void *)CMSG_DATA(CMSG_FIRSTHDR(&message));
    check(report->ee_origin == SO_EE_ORIGIN_ZEROCOPY && report->ee_info == 0, "what was sent");
}

// One request of a ring, and its answer.
static int through_ring(int ring, struct io_uring_params *params, int operation, int fd, void *bytes, unsigned len) {
    static char *submission, *completion;
    static struct io_uring_sqe *entries;
    if (!submission) {
        size_t room = params->sq_off.array + params->sq_entries * 4, more = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
        submission = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
        completion = mmap(NULL, more, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
        entries = mmap(NULL, params->sq_entries * sizeof *entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
        check(submission != MAP_FAILED && completion != MAP_FAILED && entries != MAP_FAILED, "a ring's memory");
    }
    unsigned *tail = (void *)(submission + params->sq_off.tail), at = *tail & (params->sq_entries - 1);
    memset(entries + at, 0, sizeof *entries);
    entries[at].opcode = operation, entries[at].fd = fd, entries[at].addr = (unsigned long)bytes, entries[at].len = len;
    ((unsigned *)(void *)(submission + params->sq_off.array))[at] = at;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    check(syscall(SYS_io_uring_enter, ring, 1L, 1L, (long)IORING_ENTER_GETEVENTS, NULL, 0L) == 1, "io_uring_enter");
    unsigned *head = (void *)(completion + params->cq_off.head);
    struct io_uring_cqe *answers = (void *)(completion + params->cq_off.cqes);
    int answer = answers[*head & (params->cq_entries - 1)].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return answer;
}

static void rings(void) {
    int fd = used();
    put(fd, "on its way\n", 11);
    usleep(20000);
    struct io_uring_params params = {0};
    int ring = syscall(SYS_io_uring_setup, 4L, &params);
    if (ring < 0 && (errno == ENOSYS || errno == EPERM)) {
        fprintf(stderr, "this system has no io_uring for us\n");
        return;
    }
    check(ring >= 0, "io_uring_setup");
    char got[32];
    int len = through_ring(ring, &params, IORING_OP_RECV, fd, got, sizeof got);
    check(len == 11 && !memcmp(got, "on its way\n", 11), "what was on its way");
    for (int turn = 0; turn < TURNS; turn++) {
        check(through_ring(ring, &params, IORING_OP_SEND, fd, "by a ring\n", 10) == 10, "a ring sends");
        if (turn % 2) expect(fd, "by a ring\n");
        else check(through_ring(ring, &params, IORING_OP_RECV, fd, got, 10) == 10 && !memcmp(got, "by a ring\n", 10), "a ring receives");
        ask(fd, "a line as any other\n");
    }
    fd = used();
    check(through_ring(ring, &params, IORING_OP_SEND, fd, "by a ring\n", 10) == 10, "a ring sends by another connection");
    expect(fd, "by a ring\n");
}

static void ends(void) {
    for (int way = 0; way < 4; way++) {
        int fd = used(), set = epoll_create1(0);
        struct pollfd entry = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};
        struct epoll_event told;
        fd_set in, out, other;
        control(set, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, 1);
        check(poll(&entry, 1, LONG_MS) == 1 && entry.revents == POLLOUT, "there is room");
        check(epoll_wait(set, &told, 1, LONG_MS) == 1 && told.events == EPOLLOUT, "there is room, says the set");
        FD_ZERO(&in);
        FD_ZERO(&out);
        FD_ZERO(&other);
        FD_SET(fd, &in);
        FD_SET(fd, &out);
        FD_SET(fd, &other);
        check(select(fd + 1, &in, &out, &other, NULL) == 1 && !FD_ISSET(fd, &in) && FD_ISSET(fd, &out) && !FD_ISSET(fd, &other), "select of room");
        put(fd, "last\n", 5);
        is_readable(fd);
        check(shutdown(fd, SHUT_WR) == 0, "shutdown");
        control(set, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLRDHUP, 1);
        entry.events = POLLRDHUP;
        if (way == 1) expect(fd, "last\n");
        check(poll(&entry, 1, LONG_MS) == 1, "the peer ends");
        entry.events = POLLIN | POLLOUT | POLLRDHUP;
        check(poll(&entry, 1, LONG_MS) == 1 && entry.revents == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP), "poll of an end");
        // It may tell of the last bytes first.
        double begun = now();
        do check(epoll_wait(set, &told, 1, LONG_MS) == 1 && told.events & EPOLLIN, "a set of bytes and an end");
        while (now() - begun < 1 && told.events != (EPOLLIN | EPOLLRDHUP | EPOLLHUP));
        check(told.events == (EPOLLIN | EPOLLRDHUP | EPOLLHUP), "a set of an end");
        FD_SET(fd, &in);
        FD_SET(fd, &out);
        FD_SET(fd, &other);
        check(select(fd + 1, &in, &out, &other, NULL) == 2 && FD_ISSET(fd, &in) && FD_ISSET(fd, &out), "select of an end");
        char byte;
        if (way != 1) expect(fd, "last\n");
        check(recv(fd, &byte, 1, 0) == 0 && read(fd, &byte, 1) == 0, "an end");
        check(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "nobody is written to");
        close(fd), close(set);
    }
}

int main(int count, char **words) {
    check(count >= 3, "met PART PORT");
    snprintf(port_text, sizeof port_text, "%s", words[2]);
    const struct { const char *name; void (*run)(void); } parts[] = {
        {"once", once}, {"edges", edges}, {"exclusive", exclusive}, {"nested", nested}, {"mixed", mixed}, {"spliced", spliced},
        {"filed", filed}, {"urgent", urgent}, {"signals", signals}, {"flags", flags}, {"rings", rings}, {"ends", ends},
    };
    for (unsigned index = 0; index < sizeof parts / sizeof *parts; index++) {
        if (!strcmp(parts[index].name, words[1])) return parts[index].run(), 0;
    }
    return 1;
}
