/* Many clients in one process, which check every byte that comes back:
 *
 *   load PORT CLIENTS [bytes N] [seconds S | rounds N] [floods N] [wait S]
 *
 *   bytes     in each message; a client sends the next one when it has the echo of the last
 *   seconds   so long, or
 *   rounds    so many messages each; without either of them the clients stay silent
 *   floods    so many more connections that send without a pause, and read what comes back
 *   wait      seconds without any progress after which the server has failed
 *
 * It prints a line of JSON when all are connected, each with one byte echoed, and then obeys
 * the lines on its stdin: `go` runs the rounds, `end` waits until the server has closed every
 * connection in good order. Each answers with a line of JSON. The end of stdin ends it, by
 * resets. What is wrong is said on stderr, exit 1.
 *
 * One thread, on epoll, so that it is not slower than what it measures.
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

#define TOGETHER 100             /* so many connect at a time: fewer than a backlog holds */
#define BUFFER_SIZE (256 * 1024) /* one recv() */
#define BATCH 256                /* events a wait */
#define MESSAGES 4096            /* so many different ones */
#define PORTS 10000              /* used of one address */
#define FLOOD 65521              /* the bytes that a flood repeats; a prime, so that a lost
                                    buffer never goes unnoticed */

struct client {
    int fd;
    bool flood;
    size_t begins; /* the message now: pattern[begins .. begins + bytes) */
    size_t sent, received;
    long rounds; /* completed */
    int64_t since;
};

static long port, count, bytes = 64, rounds, floods, wait_seconds = 10;
static double seconds;

static unsigned char *pattern;
static unsigned char buffer[BUFFER_SIZE];
static struct client *clients; /* the floods are behind the others */
static int epoll_fd;
static long talking;
static int64_t deadline;
static int64_t *times; /* nanoseconds of each echo */
static size_t echoes, room;

#define fail(...) \
    (fprintf(stderr, "load: " __VA_ARGS__), fputc('\n', stderr), exit(EXIT_FAILURE))

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Bytes that do not repeat: an echo out of place is not right by chance. */
static void make_pattern(void)
{
    size_t length = (size_t)(bytes > FLOOD ? bytes : FLOOD) + MESSAGES;
    uint32_t random = 2463534242;

    pattern = malloc(length);
    for (size_t i = 0; i < length; i++) {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        pattern[i] = (unsigned char)(random >> 24);
    }
}

/* ---- connecting -------------------------------------------------------------------- */

/* No Nagle: the clients' own segments are not what is measured. No lingering: they end by a
 * reset, so that no port stays in TIME_WAIT and is missing in the next run. */
static void set_options(int fd)
{
    struct timeval timeout = {.tv_sec = wait_seconds < 2 ? 1 : wait_seconds / 5};
    struct linger none = {.l_onoff = 1};
    int yes = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == -1 ||
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes) == -1 ||
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none) == -1 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == -1 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == -1)
        fail("setsockopt: %s", strerror(errno));
}

/* Each process has addresses of its own, 127.x.y.1 and up: one address has about 28,000 ports,
 * and to find a free one takes the kernel long when half of them are in use. */
static int connect_one(long number)
{
    uint32_t own = INADDR_LOOPBACK + (((uint32_t)getpid() & 0xffff) << 8) +
                   (uint32_t)(number / PORTS);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(own)};
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd == -1)
        return -1;
    set_options(fd);
    if (bind(fd, (struct sockaddr *)&here, sizeof here) == 0 &&
        connect(fd, (struct sockaddr *)&server, sizeof server) == 0 &&
        send(fd, "x", 1, MSG_NOSIGNAL) == 1)
        return fd;
    close(fd);
    return -1;
}

/* connect() is answered by the kernel: only an echo shows that the server has accepted. */
static bool is_served(int fd)
{
    char byte = 0;
    ssize_t length = recv(fd, &byte, 1, 0);

    if (length == 1 && byte != 'x')
        fail("the first byte is wrong");
    return length == 1;
}

/* Clients first .. end. Returns how many of them are served. */
static long connect_group(long first, long end)
{
    long connected = first, served = first;

    while (connected < end && (clients[connected].fd = connect_one(connected)) != -1)
        connected++;
    while (served < connected && is_served(clients[served].fd))
        served++;
    for (long i = served; i < connected; i++) /* the first that waits in vain is enough */
        close(clients[i].fd);
    return served - first;
}

static void connect_all(void)
{
    long total = count + floods, served = 0, group = TOGETHER;

    clients = calloc((size_t)total, sizeof *clients);
    while (served < total && group == TOGETHER) {
        long end = served + TOGETHER < total ? served + TOGETHER : total;
        group = connect_group(served, end);
        served += group;
    }
    if (served < total) {
        floods = 0;
        count = served < count ? served : count;
    }
}

static void watch_all(void)
{
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (long i = 0; i < count + floods; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = &clients[i]};

        clients[i].flood = i >= count;
        if (!clients[i].flood)
            event.events |= EPOLLET;
        if (fcntl(clients[i].fd, F_SETFL, O_NONBLOCK) == -1 ||
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, clients[i].fd, &event) == -1)
            fail("epoll_ctl: %s", strerror(errno));
    }
}

/* ---- talking ----------------------------------------------------------------------- */

/* The next message: another one each time, and for each client. */
static void begin_round(struct client *client)
{
    client->begins = (size_t)((client - clients) * 61 + client->rounds * 17) % MESSAGES;
    client->sent = client->received = 0;
    client->since = now();
}

static void note_time(int64_t took)
{
    if (echoes == room) {
        room = room == 0 ? 1 << 16 : room * 2;
        times = realloc(times, room * sizeof *times);
    }
    times[echoes++] = took;
}

/* Returns whether this client goes on with another message. */
static bool end_round(struct client *client)
{
    note_time(now() - client->since);
    client->rounds++;
    if (deadline != 0 ? now() >= deadline : client->rounds % rounds == 0) {
        talking--;
        return false;
    }
    begin_round(client);
    return true;
}

static void send_some(struct client *client)
{
    size_t left = (size_t)bytes - client->sent;
    if (left == 0)
        return;
    ssize_t sent = send(client->fd, pattern + client->begins + client->sent, left, MSG_NOSIGNAL);
    if (sent == -1 && errno != EAGAIN)
        fail("client %td: send: %s", client - clients, strerror(errno));
    client->sent += sent > 0 ? (size_t)sent : 0;
}

static void check(const struct client *client, const unsigned char *got,
                  const unsigned char *right, size_t length)
{
    size_t i = 0;

    if (client->received + length > client->sent)
        fail("client %td: the echo is longer than what was sent", client - clients);
    if (memcmp(got, right, length) == 0)
        return;
    while (got[i] == right[i])
        i++;
    fail("client %td, message %ld: byte %zu is wrong", client - clients, client->rounds,
         client->received + i);
}

/* Returns what there is, -1 when that is nothing yet. */
static ssize_t receive(const struct client *client)
{
    ssize_t length = recv(client->fd, buffer, sizeof buffer, 0);
    if (length == 0 || (length == -1 && errno != EAGAIN))
        fail("client %td, message %ld: after %zu bytes %s", client - clients, client->rounds,
             client->received, length == 0 ? "the server closed" : strerror(errno));
    return length;
}

/* Edge-triggered: goes on until there is no more. */
static void talk(struct client *client)
{
    ssize_t length;
    do {
        send_some(client);
        length = receive(client);
        if (length == -1)
            return;
        check(client, buffer, pattern + client->begins + client->received, (size_t)length);
        client->received += (size_t)length;
        if (client->received == (size_t)bytes && end_round(client))
            send_some(client);
    } while (length == sizeof buffer);
}

/* Level-triggered: one send and one read a time, and the others are looked at in between, so
 * that their times are the server's and not ours. */
static void flood(struct client *client)
{
    size_t at = client->sent % FLOOD;
    ssize_t sent = send(client->fd, pattern + at, FLOOD - at, MSG_NOSIGNAL);
    client->sent += sent > 0 ? (size_t)sent : 0;

    ssize_t length = receive(client);
    for (ssize_t done = 0; done < length;) {
        size_t from = client->received % FLOOD, piece = (size_t)(length - done);
        piece = piece < FLOOD - from ? piece : FLOOD - from;
        check(client, buffer + done, pattern + from, piece);
        client->received += piece;
        done += (ssize_t)piece;
    }
    for (long i = 0; i < count && talking > 0; i++)
        talk(&clients[i]);
}

/* All start at once. At the deadline nobody begins another message, but each waits for the
 * echo of its last one. */
static void run(void)
{
    talking = count;
    echoes = 0;
    for (long i = 0; i < count; i++) {
        begin_round(&clients[i]);
        send_some(&clients[i]);
    }
    while (talking > 0) {
        struct epoll_event events[BATCH];
        int ready = epoll_wait(epoll_fd, events, BATCH, (int)wait_seconds * 1000);
        if (ready == 0)
            fail("no echo for %ld seconds; %ld clients wait", wait_seconds, talking);
        for (int i = 0; i < ready && talking > 0; i++) {
            struct client *client = events[i].data.ptr;
            if (client->flood)
                flood(client);
            else
                talk(client);
        }
    }
    for (long i = 0; i < count; i++)
        if (recv(clients[i].fd, buffer, 1, MSG_PEEK) > 0)
            fail("client %ld: the echo is longer than what was sent", i);
}

static int by_length(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

static double percentile_us(double share)
{
    return (double)times[(size_t)(share * (double)(echoes - 1) + 0.5)] / 1e3;
}

/* ---- the end, and orders ----------------------------------------------------------- */

/* Waits for the server's end on every connection. An end in good order is answered with ours. */
static void end_all(void)
{
    struct linger usual = {.l_onoff = 0};
    long left = count, cut = 0;
    int64_t start = now();

    while (left > 0) {
        struct epoll_event events[BATCH];
        int ready = epoll_wait(epoll_fd, events, BATCH, (int)wait_seconds * 1000);
        if (ready == 0)
            fail("no end for %ld seconds; %ld clients wait", wait_seconds, left);
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            ssize_t length = recv(client->fd, buffer, sizeof buffer, 0);
            if (length == -1 && errno == EAGAIN)
                continue;
            cut += length != 0;
            left--;
            setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &usual, sizeof usual);
            close(client->fd);
        }
    }
    printf("{\"ended\": %ld, \"cut\": %ld, \"seconds\": %.6f}\n", count - cut, cut,
           (double)(now() - start) / 1e9);
}

static void run_and_report(void)
{
    int64_t start = now();
    deadline = seconds > 0 ? start + (int64_t)(seconds * 1e9) : 0;
    run();
    double took = (double)(now() - start) / 1e9;
    qsort(times, echoes, sizeof *times, by_length);
    printf("{\"echoes\": %zu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", echoes,
           took, percentile_us(0.5), percentile_us(0.99));
}

static void read_arguments(int argc, char **argv)
{
    struct {
        const char *name;
        long *number;
    } const words[] = {{"bytes", &bytes}, {"rounds", &rounds}, {"floods", &floods},
                       {"wait", &wait_seconds}};

    port = argc > 2 ? atol(argv[1]) : 0;
    count = argc > 2 ? atol(argv[2]) : 0;
    for (int i = 3; i + 1 < argc; i += 2) {
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            if (strcmp(argv[i], words[k].name) == 0)
                *words[k].number = atol(argv[i + 1]);
        if (strcmp(argv[i], "seconds") == 0)
            seconds = atof(argv[i + 1]);
    }
    if (port <= 0 || count <= 0 || bytes <= 0 || wait_seconds <= 0)
        fail("usage: PORT CLIENTS [bytes N] [seconds S | rounds N] [floods N] [wait S]");
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    char order[80];

    read_arguments(argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit); /* without it: fewer clients */
    }
    setlinebuf(stdout);
    make_pattern();
    connect_all();
    watch_all();
    printf("{\"connected\": %ld}\n", count);
    while (count > 0 && fgets(order, sizeof order, stdin) != NULL) {
        if (strcmp(order, "go\n") == 0 && (seconds > 0 || rounds > 0))
            run_and_report();
        else if (strcmp(order, "end\n") == 0)
            end_all();
    }
    return EXIT_SUCCESS;
}
