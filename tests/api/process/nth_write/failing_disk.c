/*
 * A library that the test preloads into the daemon. It makes the n-th write to the files of the
 * database fail, as on a full or a broken disk. The variable FAILING_DISK names a file that the
 * test and the daemon both map into memory. The test sets the numbers in this file.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

struct control {
    atomic_int countdown; /* n: the n-th write from now on fails; 0: no write fails */
    atomic_int error;     /* the errno of the failure */
    atomic_int lasts;     /* if 1, all later writes fail too, until the test resets it */
    atomic_int failed;    /* the number of writes that failed */
};

static struct control *control;

__attribute__((constructor)) static void open_control(void) {
    const char *path = getenv("FAILING_DISK");
    int fd = path ? open(path, O_RDWR) : -1;
    if (fd < 0) return;
    void *memory = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED) control = memory;
    close(fd);
}

static int is_watched(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "latchkey.db") != NULL;
}

static int fails(int fd) {
    if (!control || atomic_load(&control->countdown) <= 0 || !is_watched(fd)) return 0;
    int before = atomic_fetch_sub(&control->countdown, 1);
    if (before != 1) return 0;
    if (atomic_load(&control->lasts)) atomic_store(&control->countdown, 1);
    atomic_fetch_add(&control->failed, 1);
    errno = atomic_load(&control->error);
    return 1;
}

/* Writes the first half of the bytes before it fails, like a full disk. */
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    if (!next) next = dlsym(RTLD_NEXT, "pwrite64");
    if (fails(fd)) {
        int error = errno;
        next(fd, bytes, size / 2, at);
        errno = error;
        return -1;
    }
    return next(fd, bytes, size, at);
}

ssize_t write(int fd, const void *bytes, size_t size) {
    static ssize_t (*next)(int, const void *, size_t);
    if (!next) next = dlsym(RTLD_NEXT, "write");
    return fails(fd) ? -1 : next(fd, bytes, size);
}

int fsync(int fd) {
    static int (*next)(int);
    if (!next) next = dlsym(RTLD_NEXT, "fsync");
    return fails(fd) ? -1 : next(fd);
}

int fdatasync(int fd) {
    static int (*next)(int);
    if (!next) next = dlsym(RTLD_NEXT, "fdatasync");
    return fails(fd) ? -1 : next(fd);
}

int ftruncate64(int fd, off64_t size) {
    static int (*next)(int, off64_t);
    if (!next) next = dlsym(RTLD_NEXT, "ftruncate64");
    return fails(fd) ? -1 : next(fd, size);
}
