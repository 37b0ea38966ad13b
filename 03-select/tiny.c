/* Broken on purpose: see README.md. Do not copy. */
#include <arpa/inet.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    static char buffer[64 * 1024];
    static fd_set watched;
    struct sockaddr_in here = {
        .sin_family = AF_INET,
        .sin_port = htons(8080),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK), /* 127.0.0.1 */
    };

    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    bind(listener, (struct sockaddr *)&here, sizeof here);
    listen(listener, SOMAXCONN);
    FD_SET(listener, &watched);

    for (;;) {
        fd_set ready = watched;
        select(FD_SETSIZE, &ready, NULL, NULL, NULL);
        for (int fd = 0; fd < FD_SETSIZE; fd++) {
            if (!FD_ISSET(fd, &ready))
                continue;
            if (fd == listener) {
                int conn = accept(listener, NULL, NULL);
                FD_SET(conn, &watched);
                continue;
            }
            ssize_t length = recv(fd, buffer, sizeof buffer, 0);
            if (length > 0) {
                send(fd, buffer, (size_t)length, MSG_NOSIGNAL);
            } else {
                FD_CLR(fd, &watched);
                close(fd);
            }
        }
    }
}
