/* A process in worse shape than a crash alone makes it, loaded with LD_PRELOAD. The environment says what happens
 * (FAULT_IN_REPORT): "crash" or "hang" when the report reads memory of its own process, "thread" when a thread of the
 * background syncs a file. */

#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int is(const char *word)
{
    const char *want = getenv("FAULT_IN_REPORT");
    return want && strcmp(want, word) == 0;
}

static void crash(void)
{
    volatile int *nowhere = (int *)16;
    *nowhere = 1;
}

ssize_t process_vm_readv(pid_t pid, const struct iovec *local, unsigned long locals, const struct iovec *remote,
                         unsigned long remotes, unsigned long flags)
{
    if (is("crash"))
        crash();
    while (is("hang"))
        pause();
    return syscall(SYS_process_vm_readv, pid, local, locals, remote, remotes, flags);
}

int fdatasync(int fd)
{
    if (is("thread") && syscall(SYS_gettid) != getpid())
        crash();
    return (int)syscall(SYS_fdatasync, fd);
}
