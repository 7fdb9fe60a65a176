/// `readahead`: pages of different tags side by side; nothing legal is refused because of a neighbour.
#include "client.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { pages = 64 };

struct layout {
    const char *name;
    /// A page's tag.
    unsigned (*tag)(unsigned page);
};

static unsigned alternating(unsigned page) {
    return page % 2 ? 3 : 9;
}
static unsigned in_runs(unsigned page) {
    return page / 8 % 2 ? 1 : 14;
}
static unsigned all_tags(unsigned page) {
    return page * 7 % tag_count;
}

static const struct layout layouts[] = {{"alternating", alternating}, {"runs", in_runs}, {"all tags", all_tags}};

static uint8_t mark(unsigned page) {
    return (uint8_t)(page * 5 + 1);
}

static void touch_page(uint8_t *map, unsigned page, unsigned own, unsigned tag) {
    uint8_t *byte = map + (size_t)page * page_size + page * 61 % page_size;
    char what[64];
    snprintf(what, sizeof what, "page %u (tag %x) through view %x", page, own, tag);
    if (own != tag) {
        expect_load_fault(byte, what);
        expect_store_fault(byte, what);
        return;
    }
    if (expect_load(byte, what) != mark(page))
        fail("%s: found %#x, not %#x", what, *byte, mark(page));
    expect_store(byte, mark(page), what);
}

int readahead_main(int count, char **arguments) {
    if (count != 2)
        usage();
    const char *directory = arguments[0];
    off_t base = parse_offset(arguments[1], page_size);
    static const int advice[] = {MADV_NORMAL, MADV_SEQUENTIAL, MADV_RANDOM, MADV_WILLNEED};
    catch_faults();
    step("setting up");
    int mem = open_file(directory, "mem", O_RDWR), tags = open_file(directory, "tags", O_RDWR);
    uint8_t bytes[page_size];
    for (unsigned page = 0; page < pages; page++) {
        memset(bytes, mark(page), sizeof bytes);
        write_exactly(mem, bytes, sizeof bytes, base + (off_t)page * page_size, "mem");
    }
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        for (unsigned page = 0; page < pages; page++)
            set_page_tags(tags, base + (off_t)page * page_size, 1, layouts[i].tag(page));
        for (unsigned tag = 0; tag < tag_count; tag++) {
            step("layout %s, view %x", layouts[i].name, tag);
            int view = open_view(directory, tag, O_RDWR);
            uint8_t *map = map_file(view, base, (size_t)pages * page_size, PROT_READ | PROT_WRITE);
            madvise(map, (size_t)pages * page_size, advice[tag % 4]);
            for (unsigned k = 0; k < pages; k++) {
                // Upwards, downwards, and in leaps: the kernel reads ahead differently.
                unsigned page = tag / 4 % 3 == 0 ? k : tag / 4 % 3 == 1 ? pages - 1 - k : k * 29 % pages;
                touch_page(map, page, layouts[i].tag(page), tag);
            }
            munmap(map, (size_t)pages * page_size);
            close(view);
        }
    }
    step("contents at the end");
    for (unsigned page = 0; page < pages; page++) {
        uint8_t expected[page_size];
        memset(expected, mark(page), sizeof expected);
        read_exactly(mem, bytes, sizeof bytes, base + (off_t)page * page_size, "mem");
        expect_equal(bytes, expected, sizeof bytes, "mem");
    }
    printf("ok readahead\n");
    return 0;
}
