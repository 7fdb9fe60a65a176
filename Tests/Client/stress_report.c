#include "stress.h"

#include <stdio.h>

/// In which runs a kind of operation must happen.
enum need { always, with_tags, with_mapped_tags, with_mapped_hex, with_tag_memory, with_refusals, with_kills };

struct expectation {
    const char *name;
    enum need need;
    /// How much of it must be done and not refused. Workers mostly use the tag that the page's owner has announced.
    unsigned percent;
};

static const struct expectation expectations[kind_count] = {
    [write_mem] = {"write mem", always, 100},
    [write_view] = {"write view", always, 20},
    [write_checked] = {"write checked", always, 20},
    [store_mem_sync] = {"store mem, msync", always, 100},
    [store_mem_recall] = {"store mem", always, 100},
    [store_mem_unmap] = {"store mem, munmap", always, 100},
    [store_view_sync] = {"store view, msync", always, 20},
    [store_view_recall] = {"store view", always, 20},
    [store_view_unmap] = {"store view, munmap", always, 20},
    [read_mem] = {"read mem", always, 100},
    [read_view] = {"read view", always, 20},
    [read_checked] = {"read checked", always, 20},
    [load_mem] = {"load mem", always, 100},
    [load_view] = {"load view", always, 20},
    [read_page] = {"read pages", always, 20},
    [map_page] = {"mmap", always, 100},
    [unmap_page] = {"munmap", always, 100},
    [reopen_file] = {"close", always, 100},
    [fork_exit] = {"child exits", always, 100},
    [fork_kill] = {"child killed", with_kills, 100},
    [retag_tags] = {"retag tags", always, 100},
    [retag_hex] = {"retag tags.hex", with_tags, 100},
    [retag_memory] = {"retag mem", with_tag_memory, 100},
    [retag_tags_mapped] = {"retag tags, mapped", with_mapped_tags, 100},
    [retag_hex_mapped] = {"retag tags.hex, mapped", with_mapped_hex, 100},
    [retag_memory_mapped] = {"retag mem, mapped", with_tag_memory, 100},
    [retag_mixed] = {"mixed tags", always, 100},
    [read_tags] = {"read tags", always, 100},
    [exact_access] = {"exact access", with_tags, 100},
    [exact_refusal] = {"exact refusal", with_refusals, 100},
    [exact_map] = {"exact map", with_tags, 100},
    [exact_map_refusal] = {"exact map refusal", with_refusals, 100},
};

const char *kind_name(int kind) {
    return kind < 0 || kind >= kind_count ? "nothing" : expectations[kind].name;
}

static bool needed(const struct options *options, enum need need) {
    switch (need) {
    case always:
        return true;
    case with_tags:
        return !options->plain;
    case with_mapped_tags:
        return !options->page_cache;
    case with_mapped_hex:
        return !options->plain && !options->page_cache;
    case with_kills:
        return !options->page_cache;
    case with_tag_memory:
        return !options->plain && options->tag_memory >= 0;
    case with_refusals:
        return !options->plain && (options->mode == mode_sync || options->mode == mode_asymm);
    }
    return true;
}

bool report(const struct shared *shared) {
    bool enough = true;
    uint64_t total = 0;
    printf("%-24s %10s %10s\n", "operation", "done", "refused");
    for (int kind = 0; kind < kind_count; kind++) {
        const struct expectation *expected = &expectations[kind];
        uint64_t done = shared->done[kind], refused = shared->refused[kind];
        total += done + refused;
        printf("%-24s %10llu %10llu", expected->name, (unsigned long long)done, (unsigned long long)refused);
        bool few = done == 0 || done * 100 < (done + refused) * expected->percent;
        if (few && needed(&shared->options, expected->need)) {
            printf("   too few done");
            enough = false;
        }
        printf("\n");
    }
    printf("%-24s %10llu\n", "total", (unsigned long long)total);
    return enough;
}
