#include "objects.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct object_cell *cell_at(struct object_worker *worker, unsigned object, unsigned page, unsigned granule) {
    return &worker->shared->objects[object].cells[page][granule];
}

static void print_bytes(char *text, const uint8_t *bytes) {
    for (int i = 0; i < granule_size; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
}

void compare_base(
    struct object_worker *worker, unsigned object, unsigned page, unsigned granule, int alias, const uint8_t *found
) {
    struct object_cell *cell = cell_at(worker, object, page, granule);
    bool uncertain = atomic_load(&cell->uncertain);
    for (int i = 0; i < granule_size; i++)
        if (found[i] != cell->expected[i] && !(uncertain && found[i] == cell->other[i])) {
            char texts[2][2 * granule_size + 1];
            print_bytes(texts[0], cell->expected);
            print_bytes(texts[1], found);
            fail("lost bytes: object %u, page %u, granule %u of worker %u, read through %s%x: expected %s, found %s", object,
                 page, granule, granule % worker->options->workers, alias == object_mem ? "mem " : "view ", alias, texts[0],
                 texts[1]);
        }
    if (uncertain) {
        memcpy(cell->expected, found, granule_size);
        atomic_store(&cell->uncertain, false);
    }
}

/// A place of the worker's own, and the file to reach it through: mem, or mostly the view that fits.
struct place {
    unsigned object, page, granule;
    int alias;
    off_t offset;
};

static struct place some_place(struct object_worker *worker) {
    unsigned workers = worker->options->workers;
    struct place place = {.object = below(worker, worker->options->objects), .page = below(worker, base_pages)};
    unsigned slots = (granules_per_page - worker->index - 1) / workers + 1;
    place.granule = worker->index + workers * below(worker, slots);
    place.offset = (off_t)place.page * page_size + (off_t)place.granule * granule_size;
    const struct object_state *state = &worker->shared->objects[place.object];
    bool view = atomic_load_explicit(&state->tagged, memory_order_relaxed) && below(worker, 2) == 0;
    unsigned tag = below(worker, 10) == 0 ? below(worker, tag_count) : atomic_load(&state->hint);
    place.alias = view ? (int)tag : object_mem;
    return place;
}

/// An access to a base may be refused only through a view.
static void expect_refusal(struct object_worker *worker, const struct place *place, const char *what) {
    if (place->alias == object_mem || (errno != EFAULT && errno != EOPNOTSUPP))
        fail_errno("worker %u: %s of object %u, page %u, through alias %d", worker->index, what, place->object, place->page,
                   place->alias);
}

static void expect_bus_error(
    struct object_worker *worker, const struct place *place, struct fault fault, const uint8_t *at, const char *what
) {
    if (place->alias == object_mem || fault.code != BUS_ADRERR || fault.address != (uintptr_t)at)
        fail("worker %u: SIGBUS in a %s of object %u, page %u, through alias %d, si_code %d, %+lld bytes off", worker->index,
             what, place->object, place->page, place->alias, fault.code, (long long)(fault.address - (uintptr_t)at));
}

static bool read_place(struct object_worker *worker, const struct place *place, uint8_t *found) {
    enum object_kind kind = place->alias == object_mem ? base_read : base_read_view;
    object_begin(worker, kind, (int)place->object);
    int fd = object_fd(worker, place->object, place->alias);
    if (fd < 0)
        return false;
    ssize_t count = pread(fd, found, granule_size, place->offset);
    if (count >= 0 && count != granule_size)
        fail("worker %u: a read of object %u at %#llx did %zd bytes", worker->index, place->object,
             (unsigned long long)place->offset, count);
    if (count < 0)
        expect_refusal(worker, place, "a read");
    (count < 0 ? object_refused : object_done)(worker, kind);
    return count > 0;
}

static bool load_place(struct object_worker *worker, const struct place *place, uint8_t *found) {
    enum object_kind kind = place->alias == object_mem ? base_load : base_load_view;
    const uint8_t *map = object_map(worker, place->object, place->alias);
    if (map == NULL)
        return false;
    object_begin(worker, kind, (int)place->object);
    struct fault fault;
    size_t done;
    bool whole = guarded_load(found, map + place->offset, granule_size, &done, &fault);
    if (!whole)
        expect_bus_error(worker, place, fault, map + place->offset + done, "load");
    (whole ? object_done : object_refused)(worker, kind);
    return whole;
}

static void check_place(struct object_worker *worker, struct place place) {
    uint8_t found[granule_size] __attribute__((aligned(granule_size)));
    for (int attempt = 0;; attempt++) {
        if (attempt == 3)
            place.alias = object_mem;
        if (below(worker, 2) == 0 ? load_place(worker, &place, found) : read_place(worker, &place, found)) {
            compare_base(worker, place.object, place.page, place.granule, place.alias, found);
            return;
        }
    }
}

void read_base(struct object_worker *worker) {
    check_place(worker, some_place(worker));
}

static bool pretended(struct object_worker *worker) {
    unsigned lose = worker->options->lose;
    return lose != 0 && atomic_fetch_add(&worker->shared->writes, 1) % lose == lose - 1;
}

/// One write of the whole granule or a part. What retired, counts.
static void write_place(struct object_worker *worker, const struct place *place, bool store) {
    uint8_t bytes[granule_size] __attribute__((aligned(granule_size)));
    struct object_cell *cell = cell_at(worker, place->object, place->page, place->granule);
    uint32_t words[4] = {0xba5e0000 | worker->index, place->object << 16 | place->page, place->granule, ++worker->sequence};
    memcpy(bytes, words, granule_size);
    unsigned start = below(worker, 4) == 0 ? below(worker, granule_size) : 0, length = granule_size - start;
    uint8_t *map = store ? object_map(worker, place->object, place->alias) : NULL;
    int fd = store ? 0 : object_fd(worker, place->object, place->alias);
    if (store ? map == NULL : fd < 0)
        return;
    bool view = place->alias != object_mem;
    enum object_kind kind = store ? (view ? base_store_view : base_store) : (view ? base_write_view : base_write);
    object_begin(worker, kind, (int)place->object);
    memcpy(cell->other, cell->expected, granule_size);
    memcpy(cell->other + start, bytes + start, length);
    atomic_store(&cell->uncertain, true);
    size_t done = length;
    struct fault fault;
    if (pretended(worker)) {
        // Nothing.
    } else if (store) {
        guarded_store(map + place->offset + start, bytes + start, length, &done, &fault);
    } else {
        ssize_t count = pwrite(fd, bytes + start, length, place->offset + start);
        if (count < 0)
            expect_refusal(worker, place, "a write");
        if (count >= 0 && count != (ssize_t)length)
            fail("worker %u: a write of %u bytes did %zd", worker->index, length, count);
        done = count < 0 ? 0 : length;
    }
    memcpy(cell->expected + start, bytes + start, done);
    atomic_store(&cell->uncertain, false);
    if (store && done < length)
        expect_bus_error(worker, place, fault, map + place->offset + start + done, "store");
    (done == length ? object_done : object_refused)(worker, kind);
    if (store && below(worker, 4) == 0 && msync(map + (size_t)place->page * page_size, page_size, MS_SYNC) != 0
        && !(errno == EIO && view))
        fail_errno("worker %u: msync", worker->index);
}

void write_base(struct object_worker *worker) {
    struct place place = some_place(worker);
    write_place(worker, &place, below(worker, 10) < 6);
    int written = place.alias;
    place.alias = below(worker, 2) == 0 ? object_mem : some_place(worker).alias;
    if (place.alias == written && below(worker, 2) == 0)
        return;
    check_place(worker, place);
}

void read_rest(struct object_worker *worker) {
    unsigned object = below(worker, worker->options->objects), page = base_pages + below(worker, maximum_rest);
    uint8_t bytes[page_size] __attribute__((aligned(granule_size)));
    off_t offset = (off_t)page * page_size;
    const struct object_state *state = &worker->shared->objects[object];
    unsigned dice = below(worker, 3);
    int alias = dice == 2 && atomic_load(&state->tagged) ? (int)atomic_load(&state->hint) : object_mem;
    if (dice == 0) {
        object_begin(worker, rest_read, (int)object);
        ssize_t count = pread(object_fd(worker, object, object_mem), bytes, page_size, offset);
        if (count < 0)
            fail_errno("worker %u: a read of object %u, page %u", worker->index, object, page);
        expect_own_words(worker, object, page, bytes, (size_t)count, "read");
        (count == 0 ? object_refused : object_done)(worker, rest_read);
        return;
    }
    enum object_kind kind = alias == object_mem ? rest_load : rest_load_view;
    const uint8_t *map = object_map(worker, object, alias);
    if (map == NULL)
        return;
    object_begin(worker, kind, (int)object);
    struct fault fault;
    size_t done;
    bool whole = guarded_load(bytes, map + offset, page_size, &done, &fault);
    expect_own_words(worker, object, page, bytes, done, alias == object_mem ? "mapped" : "view mapped");
    (whole ? object_done : object_refused)(worker, kind);
}
