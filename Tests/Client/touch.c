/// `touch` and `access`: one access each, reported for the caller to compare.
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/// What `touch ... store` stores.
enum { stored_value = 0x5a };

int touch_main(int count, char **arguments) {
    if (count < 3 || count > 5)
        usage();
    off_t offset = parse_offset(arguments[1], 1);
    bool store = strcmp(arguments[2], "store") == 0, die = false;
    if (!store && strcmp(arguments[2], "load") != 0)
        usage();
    int sharing = MAP_SHARED;
    for (int i = 3; i < count; i++) {
        if (strcmp(arguments[i], "private") == 0)
            sharing = MAP_PRIVATE;
        else if (strcmp(arguments[i], "die") == 0)
            die = true;
        else if (strcmp(arguments[i], "shared") != 0)
            usage();
    }
    step("touch %s", arguments[0]);
    int fd = open(arguments[0], (store && sharing == MAP_SHARED ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        fail_errno("open");
    off_t start = offset & ~(off_t)(page_size - 1);
    uint8_t *map = mmap(NULL, page_size, PROT_READ | (store ? PROT_WRITE : 0), sharing, fd, start);
    if (map == MAP_FAILED)
        fail_errno("mmap");
    if (!die)
        catch_faults();

    volatile uint8_t *byte = map + (offset - start);
    uint8_t value = stored_value;
    struct fault fault;
    bool done = true;
    if (die && store)
        *byte = value;
    else if (die)
        value = *byte;
    else if (store)
        done = guarded_store(byte, &value, 1, NULL, &fault);
    else
        done = guarded_load(&value, byte, 1, NULL, &fault);

    if (!done) {
        off_t at = (off_t)(fault.address - (uintptr_t)map) + start;
        printf("SIGBUS code=%s addr-offset=%#llx\n",
               fault.code == BUS_ADRERR ? "BUS_ADRERR" : fault.code == BUS_OBJERR ? "BUS_OBJERR" : "other",
               (unsigned long long)at);
        return 0;
    }
    if (store && sharing == MAP_SHARED && msync(map, page_size, MS_SYNC) != 0)
        fail_errno("msync");
    printf("ok 0x%02x\n", value);
    return 0;
}

int access_main(int count, char **arguments) {
    if (count < 4 || count > 5)
        usage();
    off_t offset = (off_t)parse_number(arguments[1]);
    bool store = strcmp(arguments[2], "write") == 0;
    if (!store && strcmp(arguments[2], "read") != 0)
        usage();
    size_t length = parse_number(arguments[3]);
    step("access %s", arguments[0]);
    uint8_t *buffer = malloc(length + 1);
    if (buffer == NULL)
        fail("no memory for %zu bytes", length);
    memset(buffer, count == 5 ? (int)parse_number(arguments[4]) : stored_value, length);
    int fd = open(arguments[0], (store ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        fail_errno("open");
    ssize_t result = store ? pwrite(fd, buffer, length, offset) : pread(fd, buffer, length, offset);
    if (result < 0)
        printf("%s\n", errno_name(errno));
    else
        printf("%zd\n", result);
    // A read that is given a byte says where the first other one is.
    if (!store && count == 5)
        for (ssize_t i = 0; i < result; i++)
            if (buffer[i] != (uint8_t)parse_number(arguments[4]))
                fail("byte %zd is %#x", i, buffer[i]);
    free(buffer);
    return 0;
}
