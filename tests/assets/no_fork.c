/* A system that makes no process, for a server under test: loaded with LD_PRELOAD, each fork fails. */

#include <errno.h>
#include <sys/types.h>

pid_t fork(void)
{
    errno = EAGAIN;
    return -1;
}
