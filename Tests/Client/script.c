/// `script`: does what the lines of its input say, one at a time, and answers each with a line.
///
///     open FD PATH r|w|rw        close FD        fsync FD        ok, or an errno
///     map MAP FD OFFSET LENGTH r|rw shared|private
///     msync MAP                  unmap MAP     lock MAP
///     load MAP AT                0x5a, or SIGBUS and the offset in the file, or SIGBUS elsewhere
///     store MAP AT LENGTH BYTE   ok, or as above
///     fill MAP PAGE COUNT SEED   ok, or as above; every word of the pages gets a value of its own
///     verify MAP PAGE COUNT SEED ok, or the first word that is not the one that was filled in, or as above
///     read FD OFFSET LENGTH      the count, or an errno
///     write FD OFFSET LENGTH BYTE
///     fallocate FD MODE OFFSET LENGTH          ioctl FD REQUEST
///     setxattr PATH              getxattr PATH
///     edges FD                   ok: from now on, epoll(7) looks for edges of its being readable
///     events MILLISECONDS        the count of such events within that time
///
/// FD and MAP are numbers below 16; AT counts from the mapping's beginning.
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { slots = 16, maximum_words = 8 };

struct script_map {
    uint8_t *address;
    size_t length;
    off_t offset;
};

/// The line, and later what calls fill that are not looked at further.
static char line_buffer[4096];
static int fds[slots];
static struct script_map maps[slots];

static void answer(bool ok) {
    printf("%s\n", ok ? "ok" : errno_name(errno));
}

static void answer_count(ssize_t count) {
    if (count < 0)
        answer(false);
    else
        printf("%zd\n", count);
}

static unsigned slot(const char *word) {
    uint64_t number = parse_number(word);
    if (number >= slots)
        usage();
    return (unsigned)number;
}

/// The queue of `edges`.
static int edges = -1;

static void open_slot(char **words) {
    int access = strcmp(words[3], "rw") == 0 ? O_RDWR : strcmp(words[3], "w") == 0 ? O_WRONLY : O_RDONLY;
    int fd = open(words[2], access | O_CLOEXEC);
    fds[slot(words[1])] = fd;
    answer(fd >= 0);
}

static void wait_for_edges(int fd) {
    edges = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    answer(edges >= 0 && epoll_ctl(edges, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void map_slot(char **words) {
    struct script_map *map = &maps[slot(words[1])];
    map->offset = (off_t)parse_number(words[3]);
    map->length = parse_number(words[4]);
    int protection = PROT_READ | (strcmp(words[5], "rw") == 0 ? PROT_WRITE : 0);
    int sharing = strcmp(words[6], "private") == 0 ? MAP_PRIVATE : MAP_SHARED;
    map->address = mmap(NULL, map->length, protection, sharing, fds[slot(words[2])], map->offset);
    answer(map->address != MAP_FAILED);
}

static void answer_fault(const struct script_map *map, struct fault fault) {
    off_t at = (off_t)(fault.address - (uintptr_t)map->address) + map->offset;
    printf("SIGBUS %s %#llx\n", fault.code == BUS_ADRERR ? "BUS_ADRERR" : "other", (unsigned long long)at);
}

static void load(char **words) {
    const struct script_map *map = &maps[slot(words[1])];
    struct fault fault;
    uint8_t value;
    if (guarded_load(&value, map->address + parse_number(words[2]), 1, NULL, &fault))
        printf("0x%02x\n", value);
    else
        answer_fault(map, fault);
}

static void store(char **words) {
    const struct script_map *map = &maps[slot(words[1])];
    size_t length = parse_number(words[3]);
    uint8_t *bytes = malloc(length + 1);
    if (bytes == NULL)
        fail("no memory");
    memset(bytes, (int)parse_number(words[4]), length);
    struct fault fault;
    if (guarded_store(map->address + parse_number(words[2]), bytes, length, NULL, &fault))
        answer(true);
    else
        answer_fault(map, fault);
    free(bytes);
}

/// The pages' words are `seed` and their number in the mapping. As in the harness's `pattern`.
static void fill_or_verify(char **words, bool fill) {
    enum { words_per_page = page_size / 8 };
    const struct script_map *map = &maps[slot(words[1])];
    size_t page = parse_number(words[2]), end = page + parse_number(words[3]);
    uint64_t seed = parse_number(words[4]), expected[words_per_page], found[words_per_page];
    struct fault fault;
    for (; page < end; page++) {
        for (size_t i = 0; i < words_per_page; i++)
            expected[i] = seed << 32 | (page * words_per_page + i);
        uint8_t *address = map->address + page * page_size;
        if (fill ? !guarded_store(address, expected, page_size, NULL, &fault)
                 : !guarded_load(found, address, page_size, NULL, &fault)) {
            answer_fault(map, fault);
            return;
        }
        for (size_t i = 0; i < words_per_page && !fill; i++)
            if (found[i] != expected[i]) {
                printf("page %zu word %zu is %#llx\n", page, i, (unsigned long long)found[i]);
                return;
            }
    }
    answer(true);
}

static void transfer(char **words, bool write) {
    size_t length = parse_number(words[3]);
    uint8_t *bytes = malloc(length + 1);
    if (bytes == NULL)
        fail("no memory");
    off_t offset = (off_t)parse_number(words[2]);
    int fd = fds[slot(words[1])];
    if (write)
        memset(bytes, (int)parse_number(words[4]), length);
    answer_count(write ? pwrite(fd, bytes, length, offset) : pread(fd, bytes, length, offset));
    free(bytes);
}

static void run_line(int count, char **words) {
    const char *verb = words[0];
    if (strcmp(verb, "open") == 0 && count == 4)
        open_slot(words);
    else if (strcmp(verb, "close") == 0 && count == 2)
        answer(close(fds[slot(words[1])]) == 0);
    else if (strcmp(verb, "fsync") == 0 && count == 2)
        answer(fsync(fds[slot(words[1])]) == 0);
    else if (strcmp(verb, "map") == 0 && count == 7)
        map_slot(words);
    else if (strcmp(verb, "msync") == 0 && count == 2)
        answer(msync(maps[slot(words[1])].address, maps[slot(words[1])].length, MS_SYNC) == 0);
    else if (strcmp(verb, "lock") == 0 && count == 2)
        answer(mlock(maps[slot(words[1])].address, maps[slot(words[1])].length) == 0);
    else if (strcmp(verb, "unmap") == 0 && count == 2)
        answer(munmap(maps[slot(words[1])].address, maps[slot(words[1])].length) == 0);
    else if (strcmp(verb, "load") == 0 && count == 3)
        load(words);
    else if (strcmp(verb, "store") == 0 && count == 5)
        store(words);
    else if (strcmp(verb, "fill") == 0 && count == 5)
        fill_or_verify(words, true);
    else if (strcmp(verb, "verify") == 0 && count == 5)
        fill_or_verify(words, false);
    else if (strcmp(verb, "read") == 0 && count == 4)
        transfer(words, false);
    else if (strcmp(verb, "write") == 0 && count == 5)
        transfer(words, true);
    else if (strcmp(verb, "fallocate") == 0 && count == 5)
        answer(fallocate(fds[slot(words[1])], (int)parse_number(words[2]), (off_t)parse_number(words[3]),
                         (off_t)parse_number(words[4]))
               == 0);
    else if (strcmp(verb, "edges") == 0 && count == 2)
        wait_for_edges(fds[slot(words[1])]);
    else if (strcmp(verb, "events") == 0 && count == 2) {
        struct epoll_event found;
        answer_count(epoll_wait(edges, &found, 1, (int)parse_number(words[1])));
    } else if (strcmp(verb, "ioctl") == 0 && count == 3)
        answer(ioctl(fds[slot(words[1])], parse_number(words[2]), line_buffer) == 0);
    else if (strcmp(verb, "setxattr") == 0 && count == 2)
        answer(setxattr(words[1], "user.test", "x", 1, 0) == 0);
    else if (strcmp(verb, "getxattr") == 0 && count == 2)
        answer_count(getxattr(words[1], "user.test", line_buffer, sizeof line_buffer));
    else
        usage();
    fflush(stdout);
}

int script_main(int count, char **arguments) {
    (void)arguments;
    if (count != 0)
        usage();
    step("script");
    catch_faults();
    while (fgets(line_buffer, sizeof line_buffer, stdin) != NULL) {
        char *words[maximum_words], *rest = line_buffer, *word;
        int number = 0;
        while (number < maximum_words && (word = strtok_r(rest, " \n", &rest)) != NULL)
            words[number++] = word;
        if (number > 0)
            run_line(number, words);
    }
    return 0;
}
