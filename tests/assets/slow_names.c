/* A resolver that takes its time, for a server under test: loaded with LD_PRELOAD, it holds a look-up up until there is a file of the
 * name that the environment gives (SLOW_NAMES), and then finds that the name is that of this host. Addresses are no names. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    look_up *next = (look_up *)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *file = getenv("SLOW_NAMES");
    struct timespec pause = {0, 5000000};
    if (!next || !file)
        return EAI_FAIL;
    if (!node || node[strspn(node, "0123456789abcdef.:")] == 0)
        return next(node, service, hints, found);
    while (access(file, F_OK) != 0)
        nanosleep(&pause, NULL);
    return next("127.0.0.1", service, hints, found);
}
