/*
 * A disk whose flushes take longer: preloaded into a service by scripts/bench (LD_PRELOAD). Each fsync and fdatasync
 * is done, and then takes SLOW_DISK_MICROSECONDS more, as on a disk across a network.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

static long more(void)
{
    const char *text = getenv("SLOW_DISK_MICROSECONDS");
    return text ? atol(text) : 0;
}

static int slowly(const char *name, int descriptor)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = real(descriptor), reason = errno;
    long microseconds = more();
    struct timespec left = {microseconds / 1000000, microseconds % 1000000 * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    errno = reason;
    return result;
}

int fsync(int descriptor)
{
    return slowly("fsync", descriptor);
}

int fdatasync(int descriptor)
{
    return slowly("fdatasync", descriptor);
}
