// What is left when somebody was killed in the middle: a process that shares a connection with others, or the peer. Clients of ways.c's
// server.
#include "ways.h"

enum { ROUNDS = 100, PERIOD = 251 };

static void pause_us(int us) {
    double end = now() + us * 1e-6;
    while (now() < end) continue;
}

static pid_t server_of(int fd) {
    char line[12] = "";
    put(fd, "pid\n", 4);
    check(recv(fd, line, 11, MSG_WAITALL) == 11, "a number");
    return atoi(line);
}

// No call may take for ever; who dies is killed at another moment each time.
static void end_child(pid_t child, int turn) {
    check(child > 0, "fork");
    pause_us(500 + turn * 37 % 2000);
    kill(child, SIGKILL);
    check(waitpid(child, NULL, 0) == child, "waitpid");
}

// A process that shares the connection is killed while it writes: the others write on.
static void writers(void) {
    int fd = used();
    static char bytes[1 << 18];
    for (int turn = 0; turn < ROUNDS; turn++) {
        ask(fd, "sink\n");
        pid_t child = fork();
        if (child == 0) for (;;) put(fd, bytes, sizeof bytes);
        end_child(child, turn);
        put(fd, "END\n", 4);
        expect(fd, "END\n");
    }
    ask(fd, "a line as any other\n");
}

// Bytes go on where they ended, as far as can be known: another process may have had some in between.
static void follow(const unsigned char *bytes, ssize_t count, int *next) {
    for (ssize_t index = 0; index < count; index++) {
        check(*next < 0 || bytes[index] == *next, "another byte");
        *next = (bytes[index] + 1) % PERIOD;
    }
}

// A process that shares the connection is killed while it reads: the others read on, from where it stopped.
static void readers(void) {
    int fd = used();
    static unsigned char bytes[1 << 18];
    put(fd, "flood\n", 6);
    for (int turn = 0; turn < ROUNDS; turn++) {
        pid_t child = fork();
        if (child == 0) {
            for (int next = -1;;) {
                ssize_t got = recv(fd, bytes, sizeof bytes, 0);
                follow(bytes, got, &next);
            }
        }
        end_child(child, turn);
        for (int more = 0, next = -1; more < 1 << 20;) {
            ssize_t got = recv(fd, bytes, sizeof bytes, 0);
            check(got > 0, "the survivor reads");
            follow(bytes, got, &next);
            more += got;
        }
    }
}

static int is_gone(ssize_t answer) { return answer == -1 && (errno == ECONNRESET || errno == EPIPE); }

// The peer is killed while it writes, or while we wait for it: what it wrote comes, and then its end.
static void writing_peers(void) {
    static unsigned char bytes[1 << 16];
    for (int turn = 0; turn < ROUNDS; turn++) {
        int fd = used(), next = 0;
        pid_t server = server_of(fd);
        put(fd, turn % 4 ? "flood\n" : "nap 60\n", turn % 4 ? 6 : 7);
        pid_t killer = fork();
        if (killer == 0) {
            pause_us(turn * 37 % 2000);
            _exit(kill(server, SIGKILL));
        }
        ssize_t got;
        if (turn % 3 == 0) pause_us(turn * 53 % 2000);
        while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0) follow(bytes, got, &next);
        check(got == 0 || is_gone(got), "neither an end nor a reset");
        check(waitpid(killer, NULL, 0) == killer, "waitpid");
        close(fd);
    }
}

// What the peer wrote before it was killed comes whole.
static void last_words(void) {
    char line[64];
    int len = sprintf(line, "burst %d\ndie\n", BURST);
    for (int turn = 0; turn < 20; turn++) {
        int fd = used();
        put(fd, line, len);
        if (turn % 2) usleep(20000);
        get_burst(fd);
        char more;
        ssize_t got = recv(fd, &more, 1, 0);
        check(got == 0 || is_gone(got), "neither an end nor a reset");
        close(fd);
    }
}

static volatile sig_atomic_t broken_pipes;
static void count_pipe(int signal) { (void)signal, broken_pipes++; }

// The peer is killed while we write to it, or while we wait for it to read: we are told, by an error and by a signal.
static void reading_peers(void) {
    static char bytes[1 << 16];
    signal(SIGPIPE, count_pipe);
    for (int turn = 0; turn < ROUNDS; turn++) {
        int fd = used(), before = broken_pipes;
        pid_t server = server_of(fd);
        if (turn % 2) ask(fd, "sink\n");
        else put(fd, "nap 60\n", 7);
        pid_t killer = fork();
        if (killer == 0) {
            // Well after there is no room any more, where nobody reads.
            pause_us(turn % 2 ? turn * 37 % 2000 : 20000);
            _exit(kill(server, SIGKILL));
        }
        double begun = now();
        while (send(fd, bytes, turn % 3 ? sizeof bytes : 100, 0) > 0) check(now() - begun < 10, "it writes to nobody");
        check(is_gone(-1), "another error");
        check(send(fd, bytes, 1, 0) == -1 && errno == EPIPE && broken_pipes > before, "SIGPIPE");
        before = broken_pipes;
        check(send(fd, bytes, 1, MSG_NOSIGNAL) == -1 && errno == EPIPE && broken_pipes == before, "no signal");
        check(waitpid(killer, NULL, 0) == killer, "waitpid");
        close(fd);
    }
}

// We are killed in the middle: the peer hears of that, and ends.
static void ourselves(void) {
    for (int turn = 0; turn < ROUNDS; turn++) {
        int told[2];
        check(pipe(told) == 0, "pipe");
        pid_t child = fork();
        if (child == 0) {
            static char bytes[1 << 16];
            int fd = used();
            pid_t server = server_of(fd);
            put(fd, turn % 2 ? "flood\n" : "sink\n", turn % 2 ? 6 : 5);
            check(write(told[1], &server, sizeof server) == sizeof server, "write");
            for (;;) {
                if (turn % 2) recv(fd, bytes, sizeof bytes, 0);
                else put(fd, bytes, sizeof bytes);
            }
        }
        pid_t server;
        check(read(told[0], &server, sizeof server) == sizeof server, "read");
        end_child(child, turn);
        double begun = now();
        while (kill(server, 0) == 0) check(now() - begun < 10, "the peer goes on without us"), usleep(1000);
        close(told[0]), close(told[1]);
    }
}

int main(int count, char **words) {
    check(count >= 3, "deaths PART PORT");
    snprintf(port_text, sizeof port_text, "%s", words[2]);
    alarm(50);
    const struct { const char *name; void (*run)(void); } parts[] = {
        {"writers", writers}, {"readers", readers}, {"writing-peers", writing_peers}, {"last-words", last_words},
        {"reading-peers", reading_peers}, {"ourselves", ourselves},
    };
    for (unsigned index = 0; index < sizeof parts / sizeof *parts; index++) {
        if (!strcmp(parts[index].name, words[1])) return parts[index].run(), 0;
    }
    return 1;
}
