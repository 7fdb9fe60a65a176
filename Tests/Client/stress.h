/// The parts of `stress`: many workers read, write, map, retag and fork over the same few pages.
///
///     slots      every tag granule of every page belongs to one worker, who alone writes it, through any alias.
///                What must be in it is therefore known to the byte, whatever the other workers do to the page.
///     tags       belong, a page's together, to one worker, its owner. The others only have a hint of the tag.
///     stores     a store instruction that retired counts: whatever happens to the page afterwards (a retag, a
///                recall, munmap, the death of the process), it must be read through every alias from then on.
///     refusals   an access through a view or `checked` may be refused, since the tags change under it; then
///                nothing of the slot has changed. An access through mem is never refused.
#ifndef TAGMEM_STRESS_H
#define TAGMEM_STRESS_H

#include "client.h"

enum {
    maximum_pages = 64,
    maximum_workers = granules_per_page,
    /// A hint for a page whose granules have more than one tag.
    mixed_tags = tag_count,
    maximum_mappings = 10,
};

/// The ways to reach memory. The first 16 are the views, by tag.
enum alias {
    alias_mem = tag_count,
    alias_checked,
    alias_tags,
    alias_hex,
    /// mem, where it shows tag storage.
    alias_tag_memory,
    alias_count,
};

enum mode { mode_none, mode_sync, mode_async, mode_asymm };

/// What is counted: each kind must happen, and `stress_report.c` says how much of it must succeed.
enum kind {
    write_mem,
    write_view,
    write_checked,
    store_mem_sync,
    store_mem_recall,
    store_mem_unmap,
    store_view_sync,
    store_view_recall,
    store_view_unmap,
    read_mem,
    read_view,
    read_checked,
    load_mem,
    load_view,
    read_page,
    map_page,
    unmap_page,
    reopen_file,
    fork_exit,
    fork_kill,
    retag_tags,
    retag_hex,
    retag_memory,
    retag_tags_mapped,
    retag_hex_mapped,
    retag_memory_mapped,
    retag_mixed,
    read_tags,
    exact_access,
    exact_refusal,
    exact_map,
    exact_map_refusal,
    kind_count,
};

struct options {
    const char *directory;
    off_t base;
    /// The offset in mem of the tag byte of `base`, or -1 where mem does not show tag storage.
    off_t tag_memory;
    unsigned pages, processes, threads, workers;
    double seconds;
    uint64_t seed;
    enum mode mode;
    bool kill;
    /// Tags cannot be mapped, and the kernel loses stores of others to the page of a write whose program is killed.
    bool page_cache;
    /// Ordinary files: nothing checks tags, and only `tags` holds them. Tests the test.
    bool plain;
    /// If not 0, every n-th write is only pretended. Tests the test.
    unsigned lose;
};

/// What must be in a granule. While a write is under way, its bytes may be the old or the new ones.
struct cell {
    uint8_t expected[granule_size];
    uint8_t other[granule_size];
    _Atomic bool uncertain;
};

struct status {
    _Atomic uint64_t beats;
    _Atomic int kind, alias, page, process, task, child;
    /// The child has done its stores and waits to be killed.
    _Atomic bool child_ready;
};

/// In memory that all processes share, and that outlives each of them.
struct shared {
    struct options options;
    _Atomic bool stop, failed;
    _Atomic uint64_t done[kind_count], refused[kind_count], writes;
    _Atomic unsigned hint[maximum_pages];
    /// Written by the page's owner only.
    uint8_t tags[maximum_pages][granules_per_page];
    /// One more, for the verification at the end.
    struct status status[maximum_workers + 1];
    struct cell cells[maximum_pages][granules_per_page];
};

struct mapping {
    uint8_t *address;
    size_t length;
    int alias;
    /// The object's offset that is at `address`.
    off_t offset;
    bool writable;
};

struct worker {
    struct shared *shared;
    const struct options *options;
    struct status *status;
    unsigned index;
    struct random random;
    uint32_t sequence;
    int fds[alias_count];
    struct mapping mappings[maximum_mappings];
};

// MARK: stress_access.c: aliases, descriptors, mappings

const char *alias_name(int alias);
const char *kind_name(int kind);
/// Notes what the worker is at, for the watchdog and for failures.
void begin(struct worker *worker, enum kind kind, int alias, unsigned page);
void count_done(struct worker *worker, enum kind kind);
void count_refused(struct worker *worker, enum kind kind);
bool chance(struct worker *worker, unsigned percent);

off_t page_offset(const struct worker *worker, unsigned page);
/// Where an alias shows the granule, or for the tag aliases, the granule's tag.
off_t alias_offset(const struct worker *worker, int alias, unsigned page, unsigned granule, unsigned tag);
int alias_fd(struct worker *worker, int alias);
/// Closes a random descriptor; the mappings made from it stay.
void close_some_fd(struct worker *worker);
void close_fd(struct worker *worker, int alias, int fd);
/// A mapping that shows `length` bytes at `offset` of the alias's file: one the worker has, or a new one.
uint8_t *get_mapping(struct worker *worker, int alias, off_t offset, size_t length, bool writable);
void unmap(struct worker *worker, const uint8_t *address);
void sync_mapping(struct worker *worker, int alias, const uint8_t *address, size_t length);
/// Whether the mode lets an access through a wrong tag be refused.
bool refusable(const struct options *options, bool store, bool mapped);
void open_worker(struct worker *worker, struct shared *shared, unsigned index);
void close_worker(struct worker *worker);

// MARK: stress_slots.c: the worker's own granules

void write_some_slot(struct worker *worker);
void verify_some_slot(struct worker *worker);
void verify_page(struct worker *worker);
unsigned own_granule(struct worker *worker);
/// One access each; true if it was done, false if it was refused, as then the mode must allow. `tag` is for `checked`.
bool read_slot(
    struct worker *worker, unsigned page, unsigned granule, int alias, unsigned tag, uint8_t *found);
bool load_slot(struct worker *worker, unsigned page, unsigned granule, int alias, uint8_t *found);
bool write_slot(struct worker *worker, unsigned page, unsigned granule, int alias, unsigned tag);
void fork_child(struct worker *worker);
/// Reads the granule through a random alias other than `written` and compares.
void verify_slot(struct worker *worker, unsigned page, unsigned granule, int written);
void compare_slot(
    struct worker *worker, unsigned page, unsigned granule, int written, int alias, const uint8_t *found);

// MARK: stress_tags.c: the tags of the pages that the worker owns

bool owns_some_page(const struct worker *worker);
void retag_some_page(struct worker *worker);
/// Gives the page its first tag.
void set_first_tags(struct worker *worker, unsigned page);
/// Compares what every alias shows of the page's tags with the model.
void expect_all_tags(struct worker *worker, unsigned page);

// MARK: stress_report.c

/// Prints the counts; false, with the kinds named, if the run has not tested what it should.
bool report(const struct shared *shared);

#endif
