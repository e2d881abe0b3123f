// Pairs of programs that question each other as fast as they can, of which there may be more than processors; and pairs that wait.
//
// "busy rate PAIRS BYTES SECONDS" says how many questions were answered in a second; "busy idle" how many milliseconds of processor time the
// busier one of two programs took that waited for each other for two seconds, for each way to wait.
#include "ways.h"
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>

enum { PAIRS_MAX = 64, BYTES_MAX = 1 << 20, WAITS = 4, IDLE_S = 2 };

static struct { long counts[PAIRS_MAX]; int ready; double ms[2]; } *shared;
static int port;

static int listening(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = place(0);
    socklen_t len = sizeof at;
    check(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, PAIRS_MAX) == 0, "listen");
    check(getsockname(fd, (struct sockaddr *)&at, &len) == 0, "getsockname");
    port = ntohs(at.sin_port);
    return fd;
}

static int connected(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = place(port);
    check(connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "connect");
    return fd;
}

static int get(int fd, char *bytes, int len) {
    for (int done = 0; done < len;) {
        ssize_t more = recv(fd, bytes + done, len - done, 0);
        if (more <= 0) return 0;
        done += more;
    }
    return 1;
}

static void rate(int pairs, int len, double seconds) {
    static char bytes[BYTES_MAX];
    int listener = listening();
    for (int pair = 0; pair < 2 * pairs; pair++) {
        if (fork()) continue;
        if (pair < pairs) {
            int fd = accept(listener, NULL, NULL);
            while (get(fd, bytes, len)) put(fd, bytes, len);
            _exit(0);
        }
        int fd = connected();
        long count = 0;
        // What is counted begins once all have met.
        for (int turn = 0; turn < 50; turn++) put(fd, bytes, len), check(get(fd, bytes, len), "an answer");
        __atomic_fetch_add(&shared->ready, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST) < pairs) usleep(1000);
        for (double end = now() + seconds; now() < end; count++) put(fd, bytes, len), check(get(fd, bytes, len), "an answer");
        shared->counts[pair - pairs] = count;
        _exit(0);
    }
    close(listener);
    while (wait(NULL) > 0) continue;
    long all = 0;
    for (int pair = 0; pair < pairs; pair++) all += shared->counts[pair];
    printf("%.0f\n", all / seconds);
}

static double spent_ms(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
}

static void wait_for_bytes(int fd, int way) {
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    struct epoll_event event = {.events = EPOLLIN}, told;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    int sets = epoll_create1(0);
    check(epoll_ctl(sets, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
    switch (way) {
        case 1: check(poll(&entry, 1, -1) == 1, "poll"); break;
        case 2: check(epoll_wait(sets, &told, 1, -1) == 1, "epoll_wait"); break;
        case 3: check(select(fd + 1, &set, NULL, NULL, NULL) == 1, "select"); break;
    }
    close(sets);
}

// One waits for the other's time to come, and the other for the one's answer.
static void idle(void) {
    for (int way = 0; way < WAITS; way++) {
        int listener = listening();
        for (int end = 0; end < 2; end++) {
            if (fork()) continue;
            char byte;
            int fd = end ? connected() : accept(listener, NULL, NULL);
            for (int turn = 0; turn < 100; turn++) {
                if (end) put(fd, "x", 1), check(get(fd, &byte, 1), "an answer");
                else check(get(fd, &byte, 1), "a question"), put(fd, "x", 1);
            }
            double before = spent_ms();
            if (end) {
                sleep(IDLE_S);
                put(fd, "x", 1);
            }
            wait_for_bytes(fd, way);
            check(get(fd, &byte, 1), "a byte");
            if (!end) {
                sleep(IDLE_S);
                put(fd, "x", 1);
            }
            shared->ms[end] = spent_ms() - before;
            _exit(0);
        }
        close(listener);
        while (wait(NULL) > 0) continue;
        printf("%.1f\n", shared->ms[0] > shared->ms[1] ? shared->ms[0] : shared->ms[1]);
    }
}

int main(int count, char **words) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(shared != MAP_FAILED && count > 1, "busy rate PAIRS BYTES SECONDS, or busy idle");
    alarm(100);
    if (!strcmp(words[1], "idle")) return idle(), 0;
    check(count == 5 && atoi(words[2]) <= PAIRS_MAX && atoi(words[3]) <= BYTES_MAX, "PAIRS BYTES SECONDS");
    rate(atoi(words[2]), atoi(words[3]), atof(words[4]));
}
