/* Notes in which order a server under test writes to its sockets, loaded with LD_PRELOAD: each send, write or sendmsg appends
 * the other end's port as a line to the file that the environment names (SEND_ORDER). */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(int fd)
{
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    char line[16];
    const char *name = getenv("SEND_ORDER");
    if (!name || getpeername(fd, (struct sockaddr *)&peer, &size) != 0 || peer.sin_family != AF_INET)
        return;
    int n = snprintf(line, sizeof line, "%d\n", ntohs(peer.sin_port));
    int out = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (out < 0)
        return;
    if (syscall(SYS_write, out, line, (size_t)n) < 0)
        abort();
    syscall(SYS_close, out);
}

ssize_t send(int fd, const void *buf, size_t size, int flags)
{
    note(fd);
    return syscall(SYS_sendto, fd, buf, size, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    note(fd);
    return syscall(SYS_sendmsg, fd, msg, flags);
}
