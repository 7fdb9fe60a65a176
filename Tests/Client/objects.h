/// The parts of `objects`: many workers use the objects of `tagged/` and `untagged/` while their pages move.
///
///     objects    each has an owner among the workers, who alone changes its size, place, tags, mode and holes.
///     base       the first pages of an object are never cut off. Every tag granule there belongs to one worker, who
///                alone writes it, through any file: what must be in it is known to the byte, whatever the owner does.
///     rest       the pages behind are the owner's alone, who knows what is in each. Everybody looks at them at any
///                time: every word there is 0 or says of which object, page and granule it is. So a byte of somebody
///                else's page is seen by whoever is shown it.
///     refusals   of views: at any time, since tags, place and mode change under them. Of mem: never in the base, and in
///                the rest where memory is short or the end was.
#ifndef TAGMEM_OBJECTS_H
#define TAGMEM_OBJECTS_H

#include "client.h"

enum {
    maximum_objects = 8,
    base_pages = 4,
    maximum_rest = 96,
    maximum_object_workers = granules_per_page,
    object_mappings = 8,
    /// An alias that is no view.
    object_mem = tag_count,
};

/// What is counted. Each kind must happen.
enum object_kind {
    base_write,
    base_write_view,
    base_store,
    base_store_view,
    base_read,
    base_read_view,
    base_load,
    base_load_view,
    rest_read,
    rest_load,
    rest_load_view,
    rest_fill,
    rest_check,
    grow,
    shrink,
    punch,
    to_tagged,
    to_untagged,
    retag_object,
    change_mode,
    pin_object,
    object_mapping,
    object_unmapping,
    object_close,
    short_lived,
    removed_in_use,
    compact_now,
    change_reserve,
    physical_read,
    physical_load,
    statistics_read,
    object_kind_count,
};

struct object_options {
    const char *mountpoint;
    unsigned objects, processes, threads, workers;
    double seconds;
    uint64_t seed;
    bool kill;
    /// If not 0, every n-th write is only pretended. Tests the test.
    unsigned lose;
};

/// What must be in a granule of a base. While a write is under way, its bytes may be the old or the new ones.
struct object_cell {
    uint8_t expected[granule_size];
    uint8_t other[granule_size];
    _Atomic bool uncertain;
};

struct object_state {
    _Atomic bool tagged;
    /// The tag that the pages of the base have, as far as the owner knows.
    _Atomic unsigned hint;
    /// The owner's: the size in bytes; which write each page behind the base is of, 0 for none, and how many bytes of
    /// it are left; the tag of each page, and how many granules of it are left.
    size_t size;
    uint32_t sequence[maximum_rest];
    uint16_t left[maximum_rest];
    /// For failures: the alias that each page was filled through.
    uint8_t filled_through[maximum_rest];
    uint8_t tag[base_pages + maximum_rest];
    uint16_t tags_left[base_pages + maximum_rest];
    /// Whether an owner that was killed was at it.
    _Atomic bool unsettled;
    struct object_cell cells[base_pages][granules_per_page];
};

struct object_status {
    _Atomic uint64_t beats;
    _Atomic int kind, object, process, task;
};

/// In memory that all processes share.
struct object_shared {
    struct object_options options;
    _Atomic bool stop;
    _Atomic uint64_t done[object_kind_count], refused[object_kind_count], writes;
    struct object_status status[maximum_object_workers + 1];
    struct object_state objects[maximum_objects];
};

struct object_mapping {
    uint8_t *address;
    size_t length;
    unsigned object;
    int alias;
};

struct object_worker {
    struct object_shared *shared;
    const struct object_options *options;
    struct object_status *status;
    unsigned index;
    struct random random;
    uint32_t sequence;
    /// By object; the views and mem.
    int fds[maximum_objects][tag_count + 1];
    struct object_mapping mappings[object_mappings];
    int physical;
    uint8_t *physical_map;
    off_t physical_at;
    unsigned names;
};

// MARK: objects_access.c: descriptors, mappings, reports

const char *object_kind_name(int kind);
void object_begin(struct object_worker *worker, enum object_kind kind, int object);
void object_done(struct object_worker *worker, enum object_kind kind);
void object_refused(struct object_worker *worker, enum object_kind kind);
unsigned below(struct object_worker *worker, unsigned bound);
bool object_owned(const struct object_worker *worker, unsigned object);
/// The path of a file of an object, where it is now.
void object_path(const struct object_worker *worker, unsigned object, bool tagged, const char *name, char *path);
/// Opens a file of an object wherever it is; -1 where it has no such file now.
int open_in_object(struct object_worker *worker, unsigned object, const char *name, int flags);
int object_fd(struct object_worker *worker, unsigned object, int alias);
void close_some_object_fd(struct object_worker *worker);
/// All of an object and some room behind; null where there is no such file now.
uint8_t *object_map(struct object_worker *worker, unsigned object, int alias);
void unmap_some_object(struct object_worker *worker);
void close_object_fd(struct object_worker *worker, int alias, int fd);
/// A word of the rest: which object, page and granule it is of, and the how-manieth write.
uint64_t stamp(unsigned object, unsigned page, unsigned granule, uint32_t sequence);
/// Fails if a word of the rest is neither 0 nor of this place.
void expect_own_words(struct object_worker *worker, unsigned object, unsigned page, const void *bytes, size_t length,
                      const char *how);
void open_object_worker(struct object_worker *worker, struct object_shared *shared, unsigned index);
void close_object_worker(struct object_worker *worker);

// MARK: objects_base.c: the worker's own granules

void write_base(struct object_worker *worker);
void read_base(struct object_worker *worker);
/// Compares a granule, read through `alias`.
void compare_base(struct object_worker *worker, unsigned object, unsigned page, unsigned granule, int alias,
                  const uint8_t *found);
void read_rest(struct object_worker *worker);

// MARK: objects_owner.c: what owners do

/// Fails unless the object has what the owner has put there.
void check_rest(struct object_worker *worker, unsigned object);
void change_object(struct object_worker *worker, unsigned object);
/// Moves the object to the directory; false if there was no room.
bool move_object(struct object_worker *worker, unsigned object, bool tagged);

// MARK: objects_others.c: what needs no object that is there

void live_shortly(struct object_worker *worker);
/// Writes a line to a file of `control/`. Returns 0 or an errno.
int set_knob(const char *mountpoint, const char *name, const char *line);
void compact_device(struct object_worker *worker);
void set_aside(struct object_worker *worker);
void look_at_physical(struct object_worker *worker);
void read_statistics(struct object_worker *worker);
/// Amounts of `meminfo`, in pages.
struct amounts {
    long total, tagged, untagged, free, reserved, best, reused;
};
struct amounts read_amounts(const char *mountpoint);

#endif
