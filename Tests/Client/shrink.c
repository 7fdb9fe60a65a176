/// `shrink`: an object that shrinks and grows again under loads of what was cut off, and what is written there then.
#include "client.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { loaders = 4, small = 2, large = 20, watched = 9 * page_size };

static int mem;
static uint8_t *map;
static atomic_bool over;

/// Loads the byte or reads it, there or not, as fast as it can.
static void *load(void *argument) {
    (void)argument;
    for (unsigned turn = 0; !over; turn++) {
        uint8_t value;
        struct fault fault;
        if (turn % 8 == 7)
            (void)!pread(mem, &value, 1, watched);
        else
            (void)guarded_load(&value, map + watched, 1, NULL, &fault);
    }
    return NULL;
}

int shrink_main(int count, char **arguments) {
    if (count != 2)
        usage();
    double end = seconds_now() + (double)parse_number(arguments[1]);
    catch_faults();
    mem = make_object(arguments[0], "tagged/shrink");
    char path[4096];
    snprintf(path, sizeof path, "%s/tagged/shrink", arguments[0]);
    int view = open_view(path, 0, O_RDWR);
    map = map_file(mem, 0, large * page_size, PROT_READ);
    pthread_t threads[loaders];
    for (int i = 0; i < loaders; i++)
        if (pthread_create(&threads[i], NULL, load, NULL) != 0)
            fail("no thread");
    unsigned rounds = 0, lost = 0;
    for (; seconds_now() < end; rounds++) {
        uint8_t value = (uint8_t)(rounds % 255 + 1), read = 0;
        step("round %u", rounds);
        if (ftruncate(mem, small * page_size) != 0)
            fail_errno("ftruncate");
        // Every other round by the other way to grow.
        if ((rounds % 4 == 3 ? ftruncate(mem, large * page_size) : fallocate(mem, 0, 0, large * page_size)) != 0)
            fail_errno("growth");
        write_exactly(view, &value, 1, watched, "through the view");
        uint8_t loaded = expect_load(map + watched, "through mem");
        read_exactly(mem, &read, 1, watched, "through mem");
        lost += loaded != value || read != value;
    }
    over = true;
    for (int i = 0; i < loaders; i++)
        pthread_join(threads[i], NULL);
    printf("shrink rounds=%u lost=%u\n", rounds, lost);
    if (lost != 0 || rounds == 0)
        fail("%u of %u rounds are lost", lost, rounds);
    printf("ok shrink\n");
    return 0;
}
