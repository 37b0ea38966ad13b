/* Broken on purpose: see README.md. Do not copy. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static long words; /* echoed by all threads */

static void *serve(void *argument)
{
    int conn = *(int *)argument;
    char buffer[64 * 1024];
    ssize_t length;

    while ((length = recv(conn, buffer, sizeof buffer, 0)) > 0) {
        send(conn, buffer, (size_t)length, 0);
        words++;
    }
    close(conn);
    printf("%ld words\n", words);
    return NULL;
}

int main(void)
{
    struct sockaddr_in here = {
        .sin_family = AF_INET,
        .sin_port = htons(8080),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK), /* 127.0.0.1 */
    };

    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    bind(listener, (struct sockaddr *)&here, sizeof here);
    listen(listener, SOMAXCONN);

    for (;;) {
        int conn = accept(listener, NULL, NULL);
        pthread_t thread;
        pthread_create(&thread, NULL, serve, &conn);
        pthread_detach(thread);
    }
}
