/* A disk that is slow or broken, for a server under test: loaded with LD_PRELOAD, it holds up fsync, fdatasync or close of
 * some files, or lets them fail. The environment names a control file (SLOW_SYNC_CONTROL) of one line:
 *
 *     OPERATION PATTERN HOLD ERRNO
 *
 * OPERATION is "sync" or "close"; it concerns files whose path contains PATTERN, or ends with it if a '$' follows (so a
 * folder can be meant without the files in it). While HOLD is 1 the call waits; then it
 * fails with ERRNO, or is done if that is 0. The file is read again all the time, and replaced by a rename. What begins and
 * ends is appended to the control file's name with ".log": a test waits for these lines instead of for a time. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct rule {
    char operation[16];
    char pattern[128];
    int hold;
    int error;
};

static int control_name(char *out, size_t size, const char *suffix)
{
    const char *name = getenv("SLOW_SYNC_CONTROL");
    return name && (size_t)snprintf(out, size, "%s%s", name, suffix) < size;
}

static int read_rule(struct rule *r)
{
    char name[512], text[256];
    if (!control_name(name, sizeof name, ""))
        return 0;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    return sscanf(text, "%15s %127s %d %d", r->operation, r->pattern, &r->hold, &r->error) == 4;
}

static int concerns(const struct rule *r, const char *path)
{
    size_t n = strlen(r->pattern), length = strlen(path);
    if (n == 0 || r->pattern[n - 1] != '$')
        return strstr(path, r->pattern) != NULL;
    return --n <= length && memcmp(path + length - n, r->pattern, n) == 0;
}

static void note(const char *what, const char *operation, const char *path)
{
    char name[512], line[700];
    if (!control_name(name, sizeof name, ".log"))
        return;
    const char *thread = syscall(SYS_gettid) == getpid() ? "main" : "thread";
    int n = snprintf(line, sizeof line, "%s %s %s %s\n", what, operation, thread, path);
    int fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    if (write(fd, line, (size_t)n) < 0)
        abort();
    syscall(SYS_close, fd);
}

/* What the rule makes of the call: 0, or the error. */
static int obey(const char *operation, int fd)
{
    char link[64], path[512];
    struct rule r;
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0 || path[0] != '/')
        return errno = saved, 0;
    path[n] = 0;
    int sync = strcmp(operation, "sync") == 0;
    if (sync)
        note("begin", operation, path);
    int held = 0, error = 0;
    while (read_rule(&r) && strcmp(r.operation, operation) == 0 && concerns(&r, path)) {
        error = r.error;
        if (!r.hold)
            break;
        if (!held && !sync)
            note("begin", operation, path);
        held = 1;
        error = 0;
        struct timespec pause = {0, 5 * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
    if (sync)
        note(error ? "fail" : "end", operation, path);
    errno = saved;
    return error;
}

int fsync(int fd)
{
    int error = obey("sync", fd);
    if (error)
        return errno = error, -1;
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    int error = obey("sync", fd);
    if (error)
        return errno = error, -1;
    return (int)syscall(SYS_fdatasync, fd);
}

int close(int fd)
{
    struct rule r;
    if (read_rule(&r) && strcmp(r.operation, "close") == 0)
        obey("close", fd);
    return (int)syscall(SYS_close, fd);
}
