#include "objects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned pages_of(const struct object_state *state) {
    return (unsigned)((state->size + page_size - 1) / page_size);
}

// MARK: Checks

static void check_size(struct object_worker *worker, unsigned object) {
    struct stat found;
    if (fstat(object_fd(worker, object, object_mem), &found) != 0)
        fail_errno("worker %u: fstat", worker->index);
    size_t expected = worker->shared->objects[object].size;
    if ((size_t)found.st_size != expected)
        fail("object %u has a size of %lld, not %zu", object, (long long)found.st_size, expected);
}

void check_rest(struct object_worker *worker, unsigned object) {
    const struct object_state *state = &worker->shared->objects[object];
    object_begin(worker, rest_check, (int)object);
    check_size(worker, object);
    for (unsigned page = base_pages; page < pages_of(state); page++) {
        uint64_t words[page_size / 8];
        size_t length = state->size - (size_t)page * page_size;
        length = length < page_size ? length : page_size;
        ssize_t count = pread(object_fd(worker, object, object_mem), words, page_size, (off_t)page * page_size);
        if (count != (ssize_t)length)
            fail("object %u, page %u: a read did %zd of %zu bytes (%s)", object, page, count, length,
                 count < 0 ? errno_name(errno) : "no error");
        uint32_t sequence = state->sequence[page - base_pages];
        for (size_t at = 0; at + 8 <= length; at += 8) {
            bool written = sequence != 0 && at < state->left[page - base_pages];
            uint64_t expected = written ? stamp(object, page, at / granule_size, sequence) : 0;
            if (words[at / 8] != expected)
                fail("lost bytes: object %u (%s, %zu bytes), page %u, offset %#zx, filled through alias %d: expected %#018llx, "
                     "found %#018llx",
                     object, atomic_load(&state->tagged) ? "tagged" : "untagged", state->size, page, at,
                     state->filled_through[page - base_pages], (unsigned long long)expected,
                     (unsigned long long)words[at / 8]);
        }
    }
    object_done(worker, rest_check);
}

static void check_tags(struct object_worker *worker, unsigned object) {
    const struct object_state *state = &worker->shared->objects[object];
    static _Thread_local uint8_t found[(base_pages + maximum_rest) * tag_bytes_per_page];
    int fd = open_in_object(worker, object, "tags", O_RDONLY);
    if (fd < 0)
        fail("object %u has no tags", object);
    size_t length = (state->size + 31) / 32;
    read_exactly(fd, found, length, 0, "tags");
    close(fd);
    for (size_t granule = 0; granule < state->size / granule_size; granule++) {
        unsigned page = granule / granules_per_page;
        unsigned tag = found[granule / 2] >> (granule % 2 * 4) & 0xf;
        unsigned expected = granule % granules_per_page < state->tags_left[page] ? state->tag[page] : 0;
        if (tag != expected)
            fail("lost tags: object %u, page %u, granule %zu: expected %x, found %x", object, page,
                 granule % granules_per_page, expected, tag);
    }
}

// MARK: Sizes

static void forget_page(struct object_state *state, unsigned page) {
    state->sequence[page - base_pages] = 0;
    state->tag[page] = 0;
    state->tags_left[page] = granules_per_page;
}

static void resize(struct object_worker *worker, unsigned object) {
    struct object_state *state = &worker->shared->objects[object];
    size_t size = (size_t)(base_pages + below(worker, maximum_rest)) * page_size;
    // Also ends within a page, and within the pages that share a page of a file of tags.
    if (below(worker, 2) == 0)
        size += (size_t)granule_size * below(worker, granules_per_page);
    enum object_kind kind = size < state->size ? shrink : grow;
    object_begin(worker, kind, (int)object);
    int fd = object_fd(worker, object, object_mem);
    bool allocates = size > state->size && below(worker, 3) == 0;
    int result = allocates ? fallocate(fd, 0, (off_t)state->size, (off_t)(size - state->size)) : ftruncate(fd, (off_t)size);
    if (result != 0) {
        if (errno != ENOSPC || size < state->size)
            fail_errno("worker %u: a change of object %u from %zu to %zu bytes", worker->index, object, state->size, size);
        object_refused(worker, kind);
        check_size(worker, object);
        return;
    }
    for (unsigned page = (unsigned)((size + page_size - 1) / page_size); page < pages_of(state); page++)
        forget_page(state, page);
    unsigned last = (unsigned)(size / page_size), left = size % page_size;
    if (size < state->size && left != 0) {
        if (last >= base_pages && state->left[last - base_pages] > left)
            state->left[last - base_pages] = (uint16_t)left;
        if (state->tags_left[last] > left / granule_size)
            state->tags_left[last] = (uint16_t)(left / granule_size);
    }
    state->size = size;
    object_done(worker, kind);
    check_size(worker, object);
}

static void punch_hole(struct object_worker *worker, unsigned object) {
    struct object_state *state = &worker->shared->objects[object];
    unsigned pages = pages_of(state);
    if (pages <= base_pages)
        return;
    unsigned first = base_pages + below(worker, pages - base_pages), count = 1 + below(worker, 12);
    object_begin(worker, punch, (int)object);
    if (fallocate(object_fd(worker, object, object_mem), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)first * page_size, (off_t)count * page_size)
        != 0)
        fail_errno("worker %u: a hole in object %u", worker->index, object);
    for (unsigned page = first; page < first + count && page < pages; page++) {
        // The end of the last page is not punched where the object ends, and is zero anyway.
        forget_page(state, page);
    }
    object_done(worker, punch);
}

// MARK: Contents

static void fill_page(struct object_worker *worker, unsigned object) {
    struct object_state *state = &worker->shared->objects[object];
    unsigned pages = (unsigned)(state->size / page_size);
    if (pages <= base_pages)
        return;
    unsigned page = base_pages + below(worker, pages - base_pages);
    bool view = atomic_load(&state->tagged) && below(worker, 2) == 0, store = below(worker, 3) != 0;
    int alias = view ? (int)state->tag[page] : object_mem;
    uint64_t words[page_size / 8];
    uint32_t sequence = ++worker->sequence;
    for (unsigned i = 0; i < page_size / 8; i++)
        words[i] = stamp(object, page, i / 2, sequence);
    uint8_t *map = store ? object_map(worker, object, alias) : NULL;
    int fd = object_fd(worker, object, alias);
    if (fd < 0 || (store && map == NULL))
        fail("object %u has no alias %d", object, alias);
    off_t offset = (off_t)page * page_size;
    object_begin(worker, rest_fill, (int)object);
    state->filled_through[page - base_pages] = (uint8_t)alias;
    size_t done = 0;
    struct fault fault;
    bool whole;
    if (store) {
        whole = guarded_store(map + offset, words, page_size, &done, &fault);
    } else {
        ssize_t count = pwrite(fd, words, page_size, offset);
        done = count < 0 ? 0 : (size_t)count;
        whole = count == page_size;
        if (count < 0 && errno != ENOSPC && !(view && errno == EFAULT && state->tags_left[page] == 0))
            fail_errno("worker %u: object %u, page %u through alias %d", worker->index, object, page, alias);
    }
    if (!whole && done != 0 && state->tags_left[page] == granules_per_page)
        fail("worker %u: object %u, page %u through alias %d: %zu bytes of it", worker->index, object, page, alias, done);
    if (whole) {
        state->sequence[page - base_pages] = sequence;
        state->left[page - base_pages] = page_size;
    } else if (done != 0) {
        // Up to the granules whose tags went when the object was shorter.
        if (done != (size_t)state->tags_left[page] * granule_size)
            fail("worker %u: object %u, page %u: %zu bytes before other tags", worker->index, object, page, done);
        if (pwrite(object_fd(worker, object, object_mem), words, page_size, offset) != page_size)
            fail_errno("worker %u: object %u, page %u", worker->index, object, page);
        state->sequence[page - base_pages] = sequence;
        state->left[page - base_pages] = page_size;
    }
    if (store && below(worker, 4) == 0 && msync(map + offset, page_size, MS_SYNC) != 0 && !(errno == EIO && view))
        fail_errno("worker %u: msync", worker->index);
    (whole ? object_done : object_refused)(worker, rest_fill);
}

// MARK: Place and tags

bool move_object(struct object_worker *worker, unsigned object, bool tagged) {
    struct object_state *state = &worker->shared->objects[object];
    enum object_kind kind = tagged ? to_tagged : to_untagged;
    char from[4096], to[4096];
    object_path(worker, object, !tagged, "", from);
    object_path(worker, object, tagged, "", to);
    object_begin(worker, kind, (int)object);
    if (rename(from, to) != 0) {
        if (errno != ENOSPC || !tagged)
            fail_errno("worker %u: mv %s %s", worker->index, from, to);
        object_refused(worker, kind);
        return false;
    }
    for (unsigned page = 0; page < base_pages + maximum_rest; page++) {
        state->tag[page] = 0;
        state->tags_left[page] = granules_per_page;
    }
    atomic_store(&state->hint, 0);
    atomic_store(&state->tagged, tagged);
    object_done(worker, kind);
    return true;
}

static void retag(struct object_worker *worker, unsigned object) {
    struct object_state *state = &worker->shared->objects[object];
    bool hex = below(worker, 2) == 0;
    unsigned tag = below(worker, tag_count), pages = pages_of(state);
    static _Thread_local uint8_t bytes[(base_pages + maximum_rest) * granules_per_page];
    object_begin(worker, retag_object, (int)object);
    int fd = open_in_object(worker, object, hex ? "tags.hex" : "tags", O_RDWR);
    if (fd < 0)
        fail("object %u has no tags", object);
    memset(bytes, hex ? "0123456789abcdef"[tag] : (int)(tag * 0x11), sizeof bytes);
    size_t length = (state->size + 31) / 32 * (hex ? 2 : 1);
    ssize_t count = pwrite(fd, bytes, length, 0);
    if (count < 0 && errno == ENOSPC) {
        // Tags of a hole need its pages.
        object_refused(worker, retag_object);
    } else if (count != (ssize_t)length) {
        fail("worker %u: %zd of %zu tags of object %u (%s)", worker->index, count, length, object,
             count < 0 ? errno_name(errno) : "no error");
    } else {
        for (unsigned page = 0; page < pages; page++) {
            state->tag[page] = (uint8_t)tag;
            state->tags_left[page] = granules_per_page;
        }
        unsigned left = state->size % page_size / granule_size;
        if (left != 0)
            state->tags_left[pages - 1] = (uint16_t)(left + left % 2);
        atomic_store(&state->hint, tag);
        object_done(worker, retag_object);
    }
    close(fd);
    check_tags(worker, object);
}

static void set_mode(struct object_worker *worker, unsigned object) {
    static const char *const modes[] = {"sync", "sync", "none", "async", "asymm"};
    const char *mode = modes[below(worker, 5)];
    object_begin(worker, change_mode, (int)object);
    int fd = open_in_object(worker, object, "mode", O_WRONLY);
    if (fd < 0)
        fail("object %u has no mode", object);
    write_exactly(fd, mode, strlen(mode), 0, "mode");
    close(fd);
    object_done(worker, change_mode);
}

/// Some of the base's pages stay where they are for a while.
static void pin_pages(struct object_worker *worker, unsigned object) {
    char line[64];
    unsigned first = below(worker, base_pages), count = 1 + below(worker, base_pages - first);
    snprintf(line, sizeof line, "%s/object%u %u %u\n",
             atomic_load(&worker->shared->objects[object].tagged) ? "tagged" : "untagged", object, first * page_size,
             count * page_size);
    object_begin(worker, pin_object, (int)object);
    int error = set_knob(worker->options->mountpoint, below(worker, 3) == 0 ? "pin" : "unpin", line);
    if (error != 0)
        fail("worker %u: control/pin of %s: %s", worker->index, line, errno_name(error));
    object_done(worker, pin_object);
}

void change_object(struct object_worker *worker, unsigned object) {
    struct object_state *state = &worker->shared->objects[object];
    bool tagged = atomic_load(&state->tagged);
    unsigned dice = below(worker, 100);
    atomic_store(&state->unsettled, true);
    if (dice < 15) {
        resize(worker, object);
    } else if (dice < 20) {
        punch_hole(worker, object);
    } else if (dice < 60) {
        fill_page(worker, object);
    } else if (dice < 68) {
        if (move_object(worker, object, !tagged) && !tagged)
            check_tags(worker, object);
    } else if (dice < 72) {
        pin_pages(worker, object);
    } else if (tagged && dice < 78) {
        retag(worker, object);
    } else if (tagged && dice < 82) {
        check_tags(worker, object);
    } else if (tagged && dice < 84) {
        set_mode(worker, object);
    } else {
        check_rest(worker, object);
    }
    atomic_store(&state->unsettled, false);
}
