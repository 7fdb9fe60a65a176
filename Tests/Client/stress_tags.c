#include "stress.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/// How many workers may own pages: those of the process that gets killed may not, or tags would be left unknown.
static unsigned owners(const struct options *options) {
    return (options->processes - (options->kill ? 1 : 0)) * options->threads;
}

bool owns_some_page(const struct worker *worker) {
    return worker->index < owners(worker->options) && worker->index < worker->options->pages;
}

static unsigned own_page(struct worker *worker) {
    unsigned count = owners(worker->options);
    unsigned pages = (worker->options->pages - worker->index - 1) / count + 1;
    return worker->index + count * random_below(&worker->random, pages);
}

// MARK: Reading and writing tags

/// An alias that shows tags: `tags`, `tags.hex`, or mem at tag storage.
static int some_tag_alias(struct worker *worker) {
    if (worker->options->plain)
        return alias_tags;
    return alias_tags + (int)random_below(&worker->random, worker->options->tag_memory < 0 ? 2 : 3);
}

/// A page's tags in an alias's form. Returns the length.
static size_t encode(int alias, const uint8_t *tags, uint8_t *bytes) {
    if (alias == alias_hex) {
        for (int i = 0; i < granules_per_page; i++)
            bytes[i] = (uint8_t)"0123456789abcdef"[tags[i]];
        return granules_per_page;
    }
    for (int i = 0; i < tag_bytes_per_page; i++)
        bytes[i] = (uint8_t)(tags[2 * i] | tags[2 * i + 1] << 4);
    return tag_bytes_per_page;
}

/// In page cache mode the files of tags cannot be mapped.
static bool can_map(const struct worker *worker, int alias) {
    return !worker->options->page_cache || alias == alias_tag_memory;
}

static void expect_tags(struct worker *worker, unsigned page, int alias) {
    uint8_t expected[granules_per_page], found[granules_per_page];
    size_t length = encode(alias, worker->shared->tags[page], expected);
    off_t offset = alias_offset(worker, alias, page, 0, 0);
    begin(worker, read_tags, alias, page);
    bool mapped = can_map(worker, alias) && chance(worker, 30);
    if (mapped) {
        const uint8_t *map = get_mapping(worker, alias, offset, length, false);
        begin(worker, read_tags, alias, page);
        if (!guarded_load(found, map, length, NULL, NULL))
            fail("worker %u page %u: SIGBUS in a load through a mapping of %s", worker->index, page, alias_name(alias));
    } else if (pread(alias_fd(worker, alias), found, length, offset) != (ssize_t)length) {
        fail_errno("worker %u page %u: read of %zu bytes of %s", worker->index, page, length, alias_name(alias));
    }
    for (size_t i = 0; i < length; i++)
        if (found[i] != expected[i])
            fail("tag mismatch: worker %u page %u: %s (%s) has %#x at byte %zu of the page's tags, not %#x",
                 worker->index, page, alias_name(alias), mapped ? "mapped" : "read", found[i], i, expected[i]);
    count_done(worker, read_tags);
}

void expect_all_tags(struct worker *worker, unsigned page) {
    expect_tags(worker, page, alias_tags);
    if (worker->options->plain)
        return;
    expect_tags(worker, page, alias_hex);
    if (worker->options->tag_memory >= 0)
        expect_tags(worker, page, alias_tag_memory);
}

/// Writes the model's tags of the page through an alias. When it returns they are in effect.
static void write_tags(struct worker *worker, unsigned page, int alias, bool mapped) {
    uint8_t bytes[granules_per_page];
    size_t length = encode(alias, worker->shared->tags[page], bytes);
    off_t offset = alias_offset(worker, alias, page, 0, 0);
    mapped = mapped && can_map(worker, alias);
    enum kind kind = retag_tags + (alias - alias_tags) + (mapped ? retag_tags_mapped - retag_tags : 0);
    uint8_t *map = mapped ? get_mapping(worker, alias, offset, length, true) : NULL;
    begin(worker, kind, alias, page);
    if (!mapped) {
        if (pwrite(alias_fd(worker, alias), bytes, length, offset) != (ssize_t)length)
            fail_errno("worker %u page %u: write of %zu bytes of %s", worker->index, page, length, alias_name(alias));
    } else {
        if (!guarded_store(map, bytes, length, NULL, NULL))
            fail("worker %u page %u: SIGBUS in a store through a mapping of %s", worker->index, page,
                 alias_name(alias));
        // Another alias shows stored tags at once; that they have taken effect is only certain after msync.
        if (chance(worker, 40))
            expect_tags(worker, page, some_tag_alias(worker));
        // That look may have unmapped it to make room.
        map = get_mapping(worker, alias, offset, length, true);
        begin(worker, kind, alias, page);
        sync_mapping(worker, alias, map, length);
    }
    count_done(worker, kind);
}

// MARK: What the tags allow

static bool uniform(const uint8_t *tags) {
    return memcmp(tags, tags + 1, granules_per_page - 1) == 0;
}

/// Reads and writes of one of the worker's own slots, through the right tag and through a wrong one.
static void expect_exact_access(struct worker *worker, unsigned page) {
    uint8_t found[granule_size] __attribute__((aligned(granule_size)));
    const struct options *options = worker->options;
    unsigned granule = own_granule(worker), right = worker->shared->tags[page][granule];
    unsigned wrong = (right + 1 + random_below(&worker->random, tag_count - 1)) % tag_count;
    int right_alias = chance(worker, 60) ? (int)right : alias_checked;
    int wrong_alias = chance(worker, 60) ? (int)wrong : alias_checked;

    bool store = chance(worker, 50);
    bool done = store ? write_slot(worker, page, granule, right_alias, right)
                      : read_slot(worker, page, granule, right_alias, right, found);
    if (!done)
        fail("worker %u page %u slot %u: a %s through %s with the granule's tag %x was refused", worker->index, page,
             granule, store ? "write" : "read", alias_name(right_alias), right);
    count_done(worker, exact_access);
    if (!store)
        compare_slot(worker, page, granule, -1, right_alias, found);

    done = store ? write_slot(worker, page, granule, wrong_alias, wrong)
                 : read_slot(worker, page, granule, wrong_alias, wrong, found);
    bool refused = refusable(options, store, false);
    if (done == refused)
        fail("worker %u page %u slot %u: a %s through %s with tag %x, where the granule has %x, was %s", worker->index,
             page, granule, store ? "write" : "read", alias_name(wrong_alias), wrong, right, done ? "done" : "refused");
    if (refused)
        count_done(worker, exact_refusal);
    verify_slot(worker, page, granule, -1);
}

/// A read of the whole page through its first granule's view counts the bytes before the first other tag.
static void expect_exact_count(struct worker *worker, unsigned page) {
    uint8_t bytes[page_size];
    const uint8_t *tags = worker->shared->tags[page];
    size_t granules = 1;
    while (granules < granules_per_page && tags[granules] == tags[0])
        granules++;
    if (!refusable(worker->options, false, false))
        granules = granules_per_page;
    begin(worker, read_view, tags[0], page);
    ssize_t count = pread(alias_fd(worker, tags[0]), bytes, page_size, page_offset(worker, page));
    if (count != (ssize_t)granules * granule_size)
        fail("worker %u page %u: a read of the page through view %x did %zd bytes, not %zu", worker->index, page,
             tags[0], count, granules * granule_size);
}

/// A page is there for a mapping of a view if and only if all of its granules have the view's tag.
static void expect_exact_mapping(struct worker *worker, unsigned page, unsigned tag) {
    uint8_t found[granule_size] __attribute__((aligned(granule_size)));
    const uint8_t *tags = worker->shared->tags[page];
    bool legal = (uniform(tags) && tags[0] == tag) || !refusable(worker->options, false, true);
    unsigned granule = own_granule(worker);
    bool done = load_slot(worker, page, granule, (int)tag, found);
    if (done != legal)
        fail("worker %u page %u: a load through a mapping of view %x was %s, but the page has %s tag %x", worker->index,
             page, tag, done ? "done" : "refused", uniform(tags) ? "the one" : "others beside", tags[0]);
    if (done)
        compare_slot(worker, page, granule, -1, (int)tag, found);
    count_done(worker, legal ? exact_map : exact_map_refusal);
}

static void expect_exact(struct worker *worker, unsigned page, unsigned old_tag) {
    expect_tags(worker, page, some_tag_alias(worker));
    if (worker->options->plain)
        return;
    expect_exact_mapping(worker, page, old_tag);
    expect_exact_access(worker, page);
    expect_exact_count(worker, page);
    expect_exact_mapping(worker, page, worker->shared->tags[page][0]);
}

// MARK: Retagging

static void set_uniform(struct worker *worker, unsigned page, unsigned tag) {
    memset(worker->shared->tags[page], (int)tag, granules_per_page);
    write_tags(worker, page, some_tag_alias(worker), chance(worker, 50));
    atomic_store(&worker->shared->hint[page], tag);
}

void set_first_tags(struct worker *worker, unsigned page) {
    memset(worker->shared->tags[page], (int)(page % tag_count), granules_per_page);
    write_tags(worker, page, alias_tags, false);
    atomic_store(&worker->shared->hint[page], page % tag_count);
}

static void mix(struct worker *worker, unsigned page) {
    uint8_t *tags = worker->shared->tags[page];
    unsigned old_tag = tags[0], start = random_below(&worker->random, granules_per_page);
    unsigned length = 1 + random_below(&worker->random, granules_per_page - start);
    if (length == granules_per_page)
        length--;
    memset(tags + start, (int)((old_tag + 1 + random_below(&worker->random, tag_count - 1)) % tag_count), length);
    atomic_store(&worker->shared->hint[page], mixed_tags);
    write_tags(worker, page, some_tag_alias(worker), chance(worker, 50));
    expect_exact(worker, page, old_tag);
    count_done(worker, retag_mixed);
}

void retag_some_page(struct worker *worker) {
    unsigned page = own_page(worker), old_tag = worker->shared->tags[page][0];
    if (chance(worker, 25))
        mix(worker, page);
    set_uniform(worker, page, (old_tag + 1 + random_below(&worker->random, tag_count - 1)) % tag_count);
    expect_exact(worker, page, old_tag);
}
