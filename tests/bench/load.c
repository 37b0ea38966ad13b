/* tests/bench/load.c: guests who say something, hear it, and say the next thing; or who
 * are silent.
 *
 *   load PORT GUESTS BYTES seconds S     messages of so many bytes, for so long
 *   load PORT GUESTS BYTES rounds M      messages of so many bytes, so many of them each
 *   load PORT GUESTS silent              one byte each, to prove that they are served
 *
 * It speaks with whoever measures: a line of JSON when the guests are at their tables,
 * {"guests": 50, "late": false}, late if it took too long to bring more; a line on stdin
 * starts the rounds; a line of JSON tells how they went; the end of stdin ends it. Between
 * these lines one can look at the server.
 *
 * One thread, on epoll, so that it is not the slower of the two. Every byte of every echo
 * is checked; what is wrong is told on stderr, and ends it: exit 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE "10"            /* seconds without any echo: the server has failed */
#define SEATING_PATIENCE 1       /* and without the first one: this guest is not served */
#define SEATING_SECONDS 8        /* who has not come in by then does not */
#define TOGETHER 100             /* so many come in at a time: less than a backlog */
#define BUFFER_SIZE (256 * 1024) /* what one recv() may bring */
#define BATCH 256                /* bells we listen to at a time */
#define TURNS 4096               /* how many different messages there are */

struct guest {
    int fd;
    size_t begins; /* the message now: pattern[begins .. begins + size) */
    size_t sent, heard;
    long rounds; /* behind this guest */
    int64_t since;
};

static struct {
    long port, guests, size, rounds;
    double seconds;
    bool silent;
} wanted = {.size = 1};

static unsigned char *pattern;
static unsigned char buffer[BUFFER_SIZE];
static struct guest *guests;
static int bells;
static int64_t *times; /* how long each echo took, in nanoseconds */
static size_t echoes, room;
static long under_way;
static int64_t deadline; /* 0: it goes by rounds */
static int patience;     /* PATIENCE, or what is in the environment */

#define fail(...) \
    ((void)fprintf(stderr, "load: " __VA_ARGS__), (void)fputc('\n', stderr), exit(1))

static int64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time); /* cannot fail: this clock is there */
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Bytes that do not repeat: an echo out of place is not the right one by chance. */
static void make_pattern(void)
{
    size_t length = (size_t)wanted.size + TURNS;
    uint32_t random = 2463534242;

    pattern = malloc(length);
    if (pattern == NULL)
        fail("no memory");
    for (size_t i = 0; i < length; i++) {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        pattern[i] = (unsigned char)(random >> 24);
    }
}

/* ---- coming in --------------------------------------------------------------------- */

/* Without Nagle: the guests' own segments are not what is measured. Without lingering:
 * they leave by a reset, and no port is kept in TIME_WAIT for the next run to miss. */
static void set_options(int fd)
{
    struct timeval timeout = {.tv_sec = SEATING_PATIENCE};
    struct linger none = {.l_onoff = 1};
    int yes = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == -1 ||
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes) == -1 ||
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none) == -1 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == -1 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == -1)
        fail("setsockopt: %s", strerror(errno));
}

/* Each process comes from an address of its own, 127.x.y.1: one address has about 28,000
 * ports, and the search for a free one is slow from the 14,000th on. */
static in_addr_t own_address(void)
{
    return htonl(INADDR_LOOPBACK + (((uint32_t)getpid() & 0xffff) << 8));
}

/* Returns -1 when there is no descriptor left, or nobody to connect to. */
static int connect_one(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = own_address()};
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)wanted.port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd == -1)
        return -1;
    set_options(fd);
    if (bind(fd, (struct sockaddr *)&here, sizeof here) == 0 &&
        connect(fd, (struct sockaddr *)&server, sizeof server) == 0)
        return fd;
    (void)close(fd); /* nothing was written that could be lost */
    return -1;
}

/* The kernel answers connect(), not the server: only an echo proves that one is in. */
static bool says_hello(int fd)
{
    return send(fd, "x", 1, MSG_NOSIGNAL) == 1;
}

static bool is_greeted(int fd)
{
    char byte = 0;
    ssize_t length = recv(fd, &byte, 1, 0);
    if (length == 1 && byte != 'x')
        fail("the first byte is wrong");
    return length == 1;
}

/* Guests first .. end come in together. Returns how many of them are served; who is not
 * has come to the server's wall, or to ours. */
static long seat(long first, long end)
{
    long there = first, served = first;

    for (; there < end; there++) {
        guests[there].fd = connect_one();
        if (guests[there].fd == -1)
            break;
        if (!says_hello(guests[there].fd))
            fail("guest %ld: send: %s", there, strerror(errno));
    }
    while (served < there && is_greeted(guests[served].fd))
        served++;
    for (long i = served; i < there; i++)
        (void)close(guests[i].fd); /* gives up; nothing to lose */
    return served - first;
}

/* Returns whether it took too long, and some have stayed away. */
static bool come_in(void)
{
    long seated = 0;
    int64_t last_call = now() + (int64_t)SEATING_SECONDS * 1000000000;

    guests = calloc((size_t)wanted.guests, sizeof *guests);
    if (guests == NULL)
        fail("no memory");
    bool late = false;
    while (seated < wanted.guests && !(late = now() > last_call)) {
        long left = wanted.guests - seated;
        long group = left < TOGETHER ? left : TOGETHER;
        long served = seat(seated, seated + group);
        seated += served;
        if (served < group)
            break;
    }
    wanted.guests = seated;
    return late;
}

/* ---- rounds ------------------------------------------------------------------------ */

static bool goes_on(const struct guest *guest)
{
    return deadline != 0 ? now() < deadline : guest->rounds < wanted.rounds;
}

/* The next message: another one each time, and for each guest. */
static void begin_round(struct guest *guest)
{
    guest->begins = (size_t)((guest - guests) * 61 + guest->rounds * 17) % TURNS;
    guest->sent = guest->heard = 0;
    guest->since = now();
}

static void note_time(int64_t took)
{
    if (echoes == room) {
        room = room == 0 ? 1 << 16 : room * 2;
        times = realloc(times, room * sizeof *times);
        if (times == NULL)
            fail("no memory");
    }
    times[echoes++] = took;
}

/* Returns whether this guest goes on with another one. */
static bool end_round(struct guest *guest)
{
    note_time(now() - guest->since);
    guest->rounds++;
    if (!goes_on(guest)) {
        under_way--;
        return false;
    }
    begin_round(guest);
    return true;
}

static void send_some(struct guest *guest)
{
    size_t left = (size_t)wanted.size - guest->sent;
    if (left == 0)
        return;
    const unsigned char *bytes = pattern + guest->begins + guest->sent;
    ssize_t sent = send(guest->fd, bytes, left, MSG_NOSIGNAL);
    if (sent == -1 && errno != EAGAIN)
        fail("guest %td: send: %s", guest - guests, strerror(errno));
    guest->sent += sent > 0 ? (size_t)sent : 0;
}

static void check(const struct guest *guest, size_t length)
{
    const unsigned char *right = pattern + guest->begins + guest->heard;

    if (guest->heard + length > guest->sent)
        fail("guest %td: the echo is longer than what was said", guest - guests);
    if (memcmp(buffer, right, length) == 0)
        return;
    size_t i = 0;
    while (buffer[i] == right[i])
        i++;
    fail("guest %td, message %ld: byte %zu is wrong", guest - guests, guest->rounds,
         guest->heard + i);
}

/* Says and hears as much as there is: the bell rings once for each change. A read that
 * brought less than it could has emptied the kernel's buffer. */
static void go_on(struct guest *guest)
{
    ssize_t length;
    do {
        send_some(guest);
        length = recv(guest->fd, buffer, sizeof buffer, 0);
        if (length == -1 && errno == EAGAIN)
            return;
        if (length <= 0)
            fail("guest %td, message %ld: after %zu bytes %s", guest - guests,
                 guest->rounds, guest->heard,
                 length == 0 ? "the server has left" : strerror(errno));
        check(guest, (size_t)length);
        guest->heard += (size_t)length;
        if (guest->heard == (size_t)wanted.size && end_round(guest))
            send_some(guest);
    } while (length == sizeof buffer);
}

static void hang_bells(void)
{
    bells = epoll_create1(EPOLL_CLOEXEC);
    for (long i = 0; i < wanted.guests; i++) {
        struct epoll_event bell = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                                   .data.ptr = &guests[i]};
        if (fcntl(guests[i].fd, F_SETFL, O_NONBLOCK) == -1 ||
            epoll_ctl(bells, EPOLL_CTL_ADD, guests[i].fd, &bell) == -1)
            fail("epoll_ctl: %s", strerror(errno));
    }
    /* each rings once now: there is room to write in */
    for (long told = 0; told < wanted.guests;) {
        struct epoll_event events[BATCH];
        told += epoll_wait(bells, events, BATCH, -1);
    }
}

/* Everybody speaks at once. At the deadline nobody begins anew, but all hear the end of
 * what they have said: so that what the server did for them is counted, too. */
static void run(void)
{
    under_way = wanted.guests;
    for (long i = 0; i < wanted.guests; i++) {
        begin_round(&guests[i]);
        send_some(&guests[i]);
    }
    while (under_way > 0) {
        struct epoll_event events[BATCH];
        int rung = epoll_wait(bells, events, BATCH, patience * 1000);
        if (rung == 0)
            fail("no echo for %d seconds; %ld guests wait", patience, under_way);
        for (int i = 0; i < rung; i++)
            go_on(events[i].data.ptr);
    }
}

/* Who has heard everything must not hear more. */
static void check_silence(void)
{
    for (long i = 0; i < wanted.guests; i++)
        if (recv(guests[i].fd, buffer, 1, 0) > 0)
            fail("guest %ld: the echo is longer than what was said", i);
}

/* ---- the report -------------------------------------------------------------------- */

static int by_length(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

/* In microseconds; times is sorted. With few echoes the last ones are the longest. */
static double percentile(double share)
{
    return (double)times[(size_t)(share * (double)(echoes - 1) + 0.5)] / 1e3;
}

static void report(double seconds)
{
    qsort(times, echoes, sizeof *times, by_length);
    (void)printf("{\"guests\": %ld, \"size\": %ld, \"echoes\": %zu, \"seconds\": %.6f, "
                 "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n",
                 wanted.guests, wanted.size, echoes, seconds, percentile(0.5),
                 percentile(0.99), percentile(0.999));
    (void)fflush(stdout); /* nobody listens: the end of stdin follows */
}

/* ---- from outside ------------------------------------------------------------------ */

/* Returns whether that is how it is called. */
static bool read_arguments(int argc, char **argv)
{
    if (argc != 4 && argc != 6)
        return false;
    wanted.port = atol(argv[1]);
    wanted.guests = atol(argv[2]);
    wanted.silent = argc == 4 && strcmp(argv[3], "silent") == 0;
    if (argc == 6) {
        wanted.size = atol(argv[3]);
        wanted.seconds = strcmp(argv[4], "seconds") == 0 ? atof(argv[5]) : 0;
        wanted.rounds = strcmp(argv[4], "rounds") == 0 ? atol(argv[5]) : 0;
    }
    return wanted.port > 0 && wanted.guests > 0 && wanted.size > 0 &&
           (wanted.silent || wanted.seconds > 0 || wanted.rounds > 0);
}

static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* without it: fewer guests */
    }
}

static bool next_line(void)
{
    char line[80];
    return fgets(line, sizeof line, stdin) != NULL;
}

int main(int argc, char **argv)
{
    if (!read_arguments(argc, argv))
        fail("usage: PORT GUESTS (silent | BYTES seconds S | BYTES rounds M)");
    const char *impatient = getenv("LOAD_PATIENCE");
    patience = atoi(impatient != NULL ? impatient : PATIENCE);
    raise_descriptors();
    make_pattern();
    bool late = come_in();
    if (!wanted.silent)
        hang_bells();
    (void)printf("{\"guests\": %ld, \"late\": %s}\n", wanted.guests,
                 late ? "true" : "false");
    (void)fflush(stdout); /* as in report() */
    if (!next_line() || wanted.silent || wanted.guests == 0)
        return EXIT_SUCCESS;
    int64_t start = now();
    deadline = wanted.seconds > 0 ? start + (int64_t)(wanted.seconds * 1e9) : 0;
    run();
    double seconds = (double)(now() - start) / 1e9;
    check_silence();
    report(seconds);
    while (next_line())
        ;
    return EXIT_SUCCESS;
}
