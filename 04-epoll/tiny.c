/* Broken on purpose: see README.md. Do not copy. */
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    static char buffer[64 * 1024];
    struct sockaddr_in here = {
        .sin_family = AF_INET,
        .sin_port = htons(8080),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK), /* 127.0.0.1 */
    };

    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    bind(listener, (struct sockaddr *)&here, sizeof here);
    listen(listener, SOMAXCONN);

    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);

    for (;;) {
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            continue; /* EINTR */
        int fd = event.data.fd;
        if (fd == listener) {
            int conn = accept(listener, NULL, NULL);
            event = (struct epoll_event){.events = EPOLLIN, .data.fd = conn};
            epoll_ctl(epoll, EPOLL_CTL_ADD, conn, &event);
            continue;
        }
        ssize_t length = recv(fd, buffer, sizeof buffer, 0);
        if (length > 0)
            send(fd, buffer, (size_t)length, MSG_NOSIGNAL);
        else
            close(fd);
    }
}
