/// `storm`: objects that grow in small steps while many touch the page behind their end.
#include "client.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { object_count = 8, view_count = 4, step_bytes = 7, largest = 3 * page_size };
/// How long one call may take, in seconds: far more than it does, also with a busy machine.
static const double longest_call = 10;

struct object {
    int fd;
    uint8_t *views[view_count];
    /// Size changes that have returned.
    atomic_ulong done;
};

static struct object objects[object_count];
static atomic_bool over;

static void *grow(void *argument) {
    struct object *object = argument;
    while (!over)
        for (off_t size = 1; size < largest && !over; size += step_bytes) {
            if (ftruncate(object->fd, size) != 0)
                fail_errno("ftruncate");
            object->done++;
        }
    return NULL;
}

/// Loads the first byte behind a page: there or not, it is zero.
static void *touch(void *argument) {
    const volatile uint8_t *byte = (uint8_t *)argument + page_size;
    while (!over) {
        uint8_t value;
        struct fault fault;
        if (guarded_load(&value, byte, 1, NULL, &fault) && value != 0)
            fail("a byte that nobody wrote is %#x", value);
    }
    return NULL;
}

static void watch(double seconds) {
    unsigned long before[object_count] = {0};
    double moved[object_count], end = seconds_now() + seconds;
    for (int i = 0; i < object_count; i++)
        moved[i] = seconds_now();
    while (seconds_now() < end) {
        sleep_seconds(0.05);
        for (int i = 0; i < object_count; i++) {
            unsigned long done = objects[i].done;
            if (done != before[i])
                moved[i] = seconds_now();
            else if (seconds_now() - moved[i] > longest_call)
                fail("the %luth ftruncate of object %d has not returned", done + 1, i);
            before[i] = done;
        }
    }
}

int storm_main(int count, char **arguments) {
    if (count != 2)
        usage();
    double seconds = (double)parse_number(arguments[1]);
    catch_faults();
    pthread_t threads[object_count * (view_count + 1)];
    int started = 0;
    for (int i = 0; i < object_count; i++) {
        char name[32], path[4096];
        snprintf(name, sizeof name, "tagged/storm%d", i);
        snprintf(path, sizeof path, "%s/%s", arguments[0], name);
        objects[i].fd = make_object(arguments[0], name);
        for (unsigned tag = 0; tag < view_count; tag++) {
            int view = open_view(path, tag, O_RDONLY);
            objects[i].views[tag] = map_file(view, 0, 2 * page_size, PROT_READ);
            close(view);
        }
    }
    step("growth in steps of %d bytes", step_bytes);
    for (int i = 0; i < object_count; i++) {
        if (pthread_create(&threads[started++], NULL, grow, &objects[i]) != 0)
            fail("no thread");
        for (int tag = 0; tag < view_count; tag++)
            if (pthread_create(&threads[started++], NULL, touch, objects[i].views[tag]) != 0)
                fail("no thread");
    }
    // At least one call of each must be seen to return.
    watch(seconds);
    over = true;
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    unsigned long done = 0;
    for (int i = 0; i < object_count; i++) {
        if (objects[i].done == 0)
            fail("object %d has not grown", i);
        done += objects[i].done;
    }
    printf("ok storm: %lu size changes\n", done);
    return 0;
}
