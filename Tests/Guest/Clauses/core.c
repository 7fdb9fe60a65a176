/// "Core dump support": the segments of tags.
#include "clauses.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { pages = 3, size = pages * page_size, most_headers = 256 };

static unsigned tag_at(size_t granule) {
    return (unsigned)(granule * 5 + granule / granules_per_page) % tag_count;
}

static void die(void *unused) {
    (void)unused;
    abort();
}

static void dump(const char *directory) {
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    expect(setrlimit(RLIMIT_CORE, &limit) == 0 && chdir(directory) == 0);
    int status = status_of_child(die, NULL);
    expect(WIFSIGNALED(status) && WCOREDUMP(status));
}

static void expect_tags_in_file(int core, const Elf64_Phdr *header) {
    uint8_t packed[size / 32];
    expect(pread(core, packed, sizeof packed, (off_t)header->p_offset) == sizeof packed);
    for (size_t i = 0; i < sizeof packed; i++)
        expect(packed[i] == (tag_at(2 * i) | tag_at(2 * i + 1) << 4));
}

/// One segment for the mapping, beside the one of its data; none for memory without PROT_MTE.
static void segments(void) {
    char *memory = map_tagged(pages);
    memset(memory, 'x', size);
    for (size_t i = 0; i < size / granule_size; i++)
        set_tags(memory + i * granule_size, granule_size, tag_at(i));
    char directory[] = "/tmp/XXXXXX";
    expect(mkdtemp(directory) != NULL);
    dump(directory);
    int core = open("core", O_RDONLY | O_CLOEXEC);
    unlink("core");
    rmdir(directory);
    Elf64_Ehdr file;
    static Elf64_Phdr headers[most_headers];
    expect(core >= 0 && pread(core, &file, sizeof file, 0) == sizeof file && file.e_phnum <= most_headers);
    ssize_t length = file.e_phnum * (ssize_t)sizeof *headers;
    expect(pread(core, headers, (size_t)length, (off_t)file.e_phoff) == length);
    const Elf64_Phdr *tags = NULL, *data = NULL;
    for (unsigned i = 0; i < file.e_phnum; i++) {
        if (headers[i].p_type == PT_AARCH64_MEMTAG_MTE) {
            expect(tags == NULL);
            tags = &headers[i];
        } else if (headers[i].p_type == PT_LOAD && headers[i].p_vaddr == (uintptr_t)memory)
            data = &headers[i];
    }
    expect(tags != NULL && data != NULL);
    expect(tags->p_flags == 0 && tags->p_paddr == 0 && tags->p_align == 0);
    expect(tags->p_vaddr == data->p_vaddr && tags->p_memsz == data->p_memsz);
    expect(tags->p_memsz == size && tags->p_filesz == size / 32);
    expect_tags_in_file(core, tags);
}

const struct clause core_clauses[] = {
    {"core-dump-has-tags", segments},
    {NULL, NULL},
};
