/* Stands between a program and its disk, by LD_PRELOAD: lets what the program does to files below a folder fail, and keeps a
   record of it, in order, from which durability/disk.rs tells what a power cut would leave. Both are optional.

   SHIM_FOLDER   the folder, absolute, ending in a slash
   SHIM_CONTROL  a file that begins with a `struct control`, which may change while the program runs
   SHIM_RECORD   the file that each `struct entry` is added to, with its path and data
   SHIM_NO_SYNC  set: no sync is done, though all are said to be */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, TRUNCATE = 4, REMOVE = 8, OPEN = 16, RENAME = 32, READ = 64, SYNC_FOLDER = 128 };

struct control {
    int32_t error;    /* what they fail with; 0: nothing fails */
    int32_t kinds;    /* which ones may fail */
    int32_t first;    /* the number of the first that fails, counted from 1 */
    int32_t count;    /* how many fail; 0: all from there on */
    int32_t is_short; /* whether half of what is to be written is written before that fails */
    int32_t seen;     /* how many might have failed */
    int32_t failed;   /* how many did */
};

struct entry {
    uint64_t operation, inode, birth, offset, thread, path_length, data_length;
};

struct file {
    int is_folder;
    uint64_t inode, birth;
    char path[PATH_MAX + 16];
};

static struct control nothing;
static volatile struct control *control = &nothing;
static const char *folder = "";
static size_t folder_length;
static int record = -1, has_no_sync;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* The function of the system that ours stands before */
#define REAL(name)                                                                                                              \
    ({                                                                                                                          \
        static __typeof__(&name) real;                                                                                          \
        if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                                           \
        real;                                                                                                                   \
    })

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("SHIM_FOLDER");
    if (!name) return;
    folder = name;
    folder_length = strlen(name);
    has_no_sync = !!getenv("SHIM_NO_SYNC");
    if ((name = getenv("SHIM_CONTROL"))) {
        int file = REAL(open64)(name, O_RDWR | O_CLOEXEC);
        void *memory = mmap(0, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (file < 0 || memory == MAP_FAILED) abort();
        control = memory;
        close(file);
    }
    if ((name = getenv("SHIM_RECORD")) && (record = REAL(open64)(name, O_WRONLY | O_APPEND | O_CLOEXEC)) < 0) abort();
}

/* One at a time, of all programs that write the record. */
static void hold(void) {
    if (record < 0) return;
    pthread_mutex_lock(&mutex);
    flock(record, LOCK_EX);
}

static void release(void) {
    if (record < 0) return;
    flock(record, LOCK_UN);
    pthread_mutex_unlock(&mutex);
}

static int is_below(const char *path) { return folder_length && !strncmp(path, folder, folder_length); }

/* What all who have the database open share, which nobody needs after a power cut */
static int is_shared_memory(const char *path) {
    size_t length = strlen(path);
    return length > 4 && !strcmp(path + length - 4, "-shm");
}

static void identify(struct file *file, const struct statx *found) {
    file->is_folder = S_ISDIR(found->stx_mode);
    file->inode = found->stx_ino;
    file->birth = found->stx_mask & STATX_BTIME ? found->stx_btime.tv_sec * 1000000000ull + found->stx_btime.tv_nsec : 0;
}

/* Whether a descriptor leads to a file below the folder, or to a folder there. */
static int find(int descriptor, struct file *file) {
    struct statx found;
    char link[64];
    int error = errno, is_found = 0;
    if (folder_length && !syscall(SYS_statx, descriptor, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &found) &&
        (S_ISREG(found.stx_mode) || S_ISDIR(found.stx_mode))) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
        ssize_t length = readlink(link, file->path, PATH_MAX);
        if (length > 0) {
            strcpy(file->path + length, S_ISDIR(found.stx_mode) ? "/" : "");
            is_found = is_below(file->path);
            file->path[length] = 0;
            identify(file, &found);
        }
    }
    errno = error;
    return is_found;
}

/* The path as seen from the root */
static const char *whole(const char *path, char *place) {
    if (path[0] == '/' || !folder_length || !getcwd(place, PATH_MAX)) return path;
    strcat(place, "/");
    return strncat(place, path, PATH_MAX);
}

/* Whether this one is to fail. */
static int fails(int kind, const char *path) {
    int32_t error = control->error;
    if (!error || !(control->kinds & kind) || !is_below(path)) return 0;
    int32_t seen = __atomic_add_fetch(&control->seen, 1, __ATOMIC_SEQ_CST);
    if (seen < control->first || (control->count && seen >= control->first + control->count)) return 0;
    __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
    errno = error;
    return 1;
}

static void note(char operation, const struct file *file, uint64_t offset, const char *path, const void *data, size_t length) {
    if (record < 0 || is_shared_memory(path)) return;
    int error = errno;
    uint64_t thread = (uint64_t)getpid() << 32 | (uint32_t)syscall(SYS_gettid);
    struct entry entry = {operation, file ? file->inode : 0, file ? file->birth : 0, offset, thread, strlen(path), length};
    struct iovec parts[] = {{&entry, sizeof entry}, {(void *)path, entry.path_length}, {(void *)data, length}};
    if (REAL(writev)(record, parts, 3) < 0) abort();
    errno = error;
}

ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t offset) {
    struct file file;
    if (!find(descriptor, &file)) return REAL(pwrite64)(descriptor, data, length, offset);
    int is_failure = fails(WRITE, file.path), error = errno;
    if (is_failure) length = control->is_short ? length / 2 : 0;
    hold();
    ssize_t done = length ? REAL(pwrite64)(descriptor, data, length, offset) : 0;
    if (done > 0) note('W', &file, offset, file.path, data, done);
    release();
    if (!is_failure) return done;
    errno = error;
    return -1;
}

ssize_t pwrite(int descriptor, const void *data, size_t length, off_t offset) {
    return pwrite64(descriptor, data, length, offset);
}

ssize_t write(int descriptor, const void *data, size_t length) {
    struct file file;
    if (!find(descriptor, &file)) return REAL(write)(descriptor, data, length);
    if (fails(WRITE, file.path)) return -1;
    hold();
    off64_t offset = lseek64(descriptor, 0, SEEK_CUR);
    ssize_t done = REAL(write)(descriptor, data, length);
    if (done > 0) note('W', &file, offset, file.path, data, done);
    release();
    return done;
}

ssize_t pread64(int descriptor, void *data, size_t length, off64_t offset) {
    struct file file;
    if (control->kinds & READ && find(descriptor, &file) && fails(READ, file.path)) return -1;
    return REAL(pread64)(descriptor, data, length, offset);
}

/* The names in a folder, each with what it leads to */
static size_t list(const char *path, char *names, size_t room) {
    size_t length = 0;
    DIR *entries = opendir(path);
    struct dirent *entry;
    while (entries && (entry = readdir(entries))) {
        struct statx found;
        struct file file;
        if (syscall(SYS_statx, dirfd(entries), entry->d_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &found) ||
            !S_ISREG(found.stx_mode) || is_shared_memory(entry->d_name))
            continue;
        identify(&file, &found);
        length += snprintf(names + length, room - length, "%s\t%llu\t%llu\n", entry->d_name, (unsigned long long)file.inode,
                           (unsigned long long)file.birth);
        if (length >= room) abort();
    }
    if (entries) closedir(entries);
    return length;
}

/* A sync counts for what was written before it began, and only once it is over. */
static int sync_with(int descriptor, int (*real)(int)) {
    struct file file;
    char names[65536];
    if (!find(descriptor, &file)) return real(descriptor);
    if (fails(file.is_folder ? SYNC_FOLDER : SYNC, file.path)) return -1;
    if (has_no_sync) return 0;
    if (record < 0) return real(descriptor);
    hold();
    note(file.is_folder ? 'd' : 's', &file, 0, file.path, names, file.is_folder ? list(file.path, names, sizeof names) : 0);
    release();
    int done = real(descriptor);
    /* So that an answer that does not wait for it comes before it, however fast the disk is. */
    usleep(1000);
    hold();
    if (!done) note(file.is_folder ? 'D' : 'S', &file, 0, file.path, "", 0);
    release();
    return done;
}

int fsync(int descriptor) { return sync_with(descriptor, REAL(fsync)); }

int fdatasync(int descriptor) { return sync_with(descriptor, REAL(fdatasync)); }

int ftruncate64(int descriptor, off64_t length) {
    struct file file;
    if (!find(descriptor, &file)) return REAL(ftruncate64)(descriptor, length);
    if (fails(TRUNCATE, file.path)) return -1;
    hold();
    int done = REAL(ftruncate64)(descriptor, length);
    if (!done) note('T', &file, length, file.path, "", 0);
    release();
    return done;
}

int ftruncate(int descriptor, off_t length) { return ftruncate64(descriptor, length); }

int unlink(const char *name) {
    char place[2 * PATH_MAX];
    const char *path = whole(name, place);
    if (!is_below(path)) return REAL(unlink)(name);
    if (fails(REMOVE, path)) return -1;
    hold();
    int done = REAL(unlink)(name);
    if (!done) note('U', 0, 0, path, "", 0);
    release();
    return done;
}

int rename(const char *from, const char *to) {
    char place[2 * PATH_MAX], other[2 * PATH_MAX];
    const char *path = whole(from, place), *target = whole(to, other);
    if (!is_below(path)) return REAL(rename)(from, to);
    if (fails(RENAME, path)) return -1;
    hold();
    int done = REAL(rename)(from, to);
    if (!done) note('R', 0, 0, path, target, strlen(target));
    release();
    return done;
}

static int open_with(const char *name, int flags, int mode) {
    char place[2 * PATH_MAX];
    const char *path = whole(name, place);
    int is_write = flags & (O_CREAT | O_WRONLY | O_RDWR | O_TRUNC);
    if (!is_below(path) || flags & O_DIRECTORY || !is_write) return REAL(open64)(name, flags, mode);
    if (fails(OPEN, path)) return -1;
    hold();
    int descriptor = REAL(open64)(name, flags, mode);
    struct file file;
    if (descriptor >= 0 && flags & (O_CREAT | O_TRUNC) && find(descriptor, &file)) {
        note('O', &file, 0, file.path, "", 0);
        if (flags & O_TRUNC) note('T', &file, 0, file.path, "", 0);
    }
    release();
    return descriptor;
}

#define MODE_OF(flags)                                                                                                          \
    ({                                                                                                                          \
        int mode = 0;                                                                                                           \
        if (flags & (O_CREAT | __O_TMPFILE)) {                                                                                  \
            va_list more;                                                                                                       \
            va_start(more, flags);                                                                                              \
            mode = va_arg(more, int);                                                                                           \
            va_end(more);                                                                                                       \
        }                                                                                                                       \
        mode;                                                                                                                   \
    })

int open64(const char *name, int flags, ...) { return open_with(name, flags, MODE_OF(flags)); }

int open(const char *name, int flags, ...) { return open_with(name, flags, MODE_OF(flags)); }
