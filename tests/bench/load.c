/* Many clients in one process, which check every byte that comes back:
 *
 *   load PORT CLIENTS BYTES SECONDS ROUNDS FLOODS WAIT
 *
 * A client sends the next message, of BYTES, when it has the echo of the last one: for so many
 * SECONDS, or else ROUNDS messages each. FLOODS more connections send without a pause, and read
 * what comes back. After WAIT seconds without any progress the server has failed.
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
    size_t begins; /* the message now: pattern[begins .. begins + bytes) */
    size_t sent, received;
    long rounds; /* completed */
    int64_t since;
};

static long port, count, bytes, rounds, floods, wait_seconds;
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

/* In groups. If the server leaves some out, the first that waits in vain is enough. */
static void connect_all(void)
{
    long total = count + floods, connected = 0, served = 0, before;

    clients = calloc((size_t)total, sizeof *clients);
    do {
        before = served;
        while (connected < total && connected < before + TOGETHER &&
               (clients[connected].fd = connect_one(connected)) != -1)
            connected++;
        while (served < connected && is_served(clients[served].fd))
            served++;
    } while (served == connected && served > before);
    for (long i = served; i < connected; i++)
        close(clients[i].fd);
    if (served < total) {
        floods = 0;
        count = served < count ? served : count;
    }
}

static void watch_all(void)
{
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (long i = 0; i < count + floods; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | (i < count ? EPOLLET : 0),
                                    .data.ptr = &clients[i]};
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

/* Returns whether this client goes on with another message. */
static bool end_round(struct client *client)
{
    if (echoes == room) {
        room = room == 0 ? 1 << 16 : room * 2;
        times = realloc(times, room * sizeof *times);
    }
    times[echoes++] = now() - client->since;
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

/* Returns how much there was, at most so much; -1: nothing yet. */
static ssize_t receive(const struct client *client, size_t most)
{
    ssize_t length = recv(client->fd, buffer, most, 0);
    if (length == 0 || (length == -1 && errno != EAGAIN))
        fail("client %td, message %ld: after %zu bytes %s", client - clients, client->rounds,
             client->received, length == 0 ? "the server closed" : strerror(errno));
    return length;
}

/* The bytes in the buffer must be these, the next ones of the echo. */
static void check(struct client *client, const unsigned char *right, size_t length)
{
    size_t i = 0;

    if (client->received + length > client->sent)
        fail("client %td: the echo is longer than what was sent", client - clients);
    if (memcmp(buffer, right, length) != 0) {
        while (buffer[i] == right[i])
            i++;
        fail("client %td, message %ld: byte %zu is wrong", client - clients, client->rounds,
             client->received + i);
    }
    client->received += length;
}

/* Edge-triggered: goes on until there is no more. */
static void talk(struct client *client)
{
    ssize_t length;
    do {
        send_some(client);
        length = receive(client, sizeof buffer);
        if (length == -1)
            return;
        check(client, pattern + client->begins + client->received, (size_t)length);
        if (client->received == (size_t)bytes && end_round(client))
            send_some(client);
    } while (length == sizeof buffer);
}

/* Level-triggered: one send and one read a time, and the others are looked at in between, so
 * that their times are the server's and not ours. */
static void flood(struct client *client)
{
    size_t from = client->sent % FLOOD, at = client->received % FLOOD;
    ssize_t sent = send(client->fd, pattern + from, FLOOD - from, MSG_NOSIGNAL);
    client->sent += sent > 0 ? (size_t)sent : 0;

    ssize_t length = receive(client, FLOOD - at);
    if (length > 0)
        check(client, pattern + at, (size_t)length);
    for (long i = 0; i < count && talking > 0; i++)
        talk(&clients[i]);
}

static int by_length(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

/* All start at once. At the deadline nobody begins another message, but each waits for the
 * echo of its last one. */
static void run(void)
{
    int64_t start = now();

    deadline = seconds > 0 ? start + (int64_t)(seconds * 1e9) : 0;
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
            if (client < clients + count)
                talk(client);
            else
                flood(client);
        }
    }
    double took = (double)(now() - start) / 1e9;
    for (long i = 0; i < count; i++)
        if (recv(clients[i].fd, buffer, 1, MSG_PEEK) > 0)
            fail("client %ld: the echo is longer than what was sent", i);
    qsort(times, echoes, sizeof *times, by_length);
    printf("{\"echoes\": %zu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", echoes,
           took, (double)times[echoes / 2] / 1e3, (double)times[echoes * 99 / 100] / 1e3);
}

/* ---- the end ----------------------------------------------------------------------- */

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

int main(int argc, char **argv)
{
    struct rlimit limit;
    char order[80];

    if (argc != 8)
        fail("usage: PORT CLIENTS BYTES SECONDS ROUNDS FLOODS WAIT");
    port = atol(argv[1]);
    count = atol(argv[2]);
    bytes = atol(argv[3]);
    seconds = atof(argv[4]);
    rounds = atol(argv[5]);
    floods = atol(argv[6]);
    wait_seconds = atol(argv[7]);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit); /* without it: fewer clients */
    }
    setlinebuf(stdout);
    make_pattern();
    connect_all();
    watch_all();
    printf("{\"connected\": %ld}\n", count);
    while (count > 0 && fgets(order, sizeof order, stdin) != NULL)
        if (order[0] == 'g')
            run();
        else
            end_all();
    return EXIT_SUCCESS;
}
