/// "PROT_MTE": which mappings have tags, and what they are at first.
#include "clauses.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/shm.h>
#include <unistd.h>

enum { pages = 4, size = pages * page_size, read_write = PROT_READ | PROT_WRITE };

static void hwcap(void) {
    expect(getauxval(AT_HWCAP2) & HWCAP2_MTE);
}

static void hwcap_asymmetric(void) {
    expect(getauxval(AT_HWCAP2) & HWCAP2_MTE3);
}

#ifdef __aarch64__
static void cpuinfo(void) {
    FILE *file = fopen("/proc/cpuinfo", "re");
    expect(file != NULL);
    char line[1024];
    int processors = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "Features", 8) != 0)
            continue;
        processors++;
        expect(strstr(line, " mte ") != NULL && strstr(line, " mte3") != NULL);
    }
    expect(processors == sysconf(_SC_NPROCESSORS_ONLN));
}
#endif

/// A fresh mapping: data and tags are 0, tags can be set, and the data is at any pointer whose tag they are.
static void check_mapping(char *memory) {
    enter(PR_MTE_TCF_SYNC, nonzero_tags);
    expect(is_tagged_mapping(memory));
    expect_tags(memory, size, 0);
    for (size_t i = 0; i < size; i++)
        expect(memory[i] == 0);
    for (size_t i = 0; i < size; i += granule_size) {
        unsigned tag = (unsigned)(i / granule_size * 7 + i / page_size) % tag_count;
        char *granule = set_tags(memory + i, granule_size, tag);
        memset(granule, (int)(i / granule_size), granule_size);
    }
    for (size_t i = 0; i < size; i += granule_size) {
        unsigned tag = (unsigned)(i / granule_size * 7 + i / page_size) % tag_count;
        expect(memory_tag(memory + i) == tag);
        const char *granule = with_tag(memory + i, tag);
        expect(granule[0] == (char)(i / granule_size) && granule[15] == granule[0]);
    }
}

static void anonymous_private(void) {
    check_mapping(map(size, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1));
}

static void anonymous_shared(void) {
    check_mapping(map(size, read_write | PROT_MTE, MAP_SHARED | MAP_ANONYMOUS, -1));
}

static void tmpfs_shared(void) {
    check_mapping(map(size, read_write | PROT_MTE, MAP_SHARED, file_on("tmpfs", size)));
}

static void tmpfs_private(void) {
    check_mapping(map(size, read_write | PROT_MTE, MAP_PRIVATE, file_on("tmpfs", size)));
}

static void memory_file(void) {
    int fd = memfd_create("clause", MFD_CLOEXEC);
    expect(fd >= 0 && ftruncate(fd, size) == 0);
    check_mapping(map(size, read_write | PROT_MTE, MAP_SHARED, fd));
}

static void posix_shared_memory(void) {
    int fd = open("/dev/shm/clause", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    expect(fd >= 0 && unlink("/dev/shm/clause") == 0 && ftruncate(fd, size) == 0);
    check_mapping(map(size, read_write | PROT_MTE, MAP_SHARED, fd));
}

#ifdef __aarch64__
static void system_v_shared_memory(void) {
    int id = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);
    expect(id >= 0);
    void *memory = shmat(id, NULL, 0);
    expect(memory != (void *)-1 && shmctl(id, IPC_RMID, NULL) == 0);
    expect(mprotect(memory, size, read_write | PROT_MTE) == 0);
    check_mapping(memory);
}
#endif

/// Contents stay.
static void by_mprotect(void) {
    char *memory = map(size, read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    memset(memory, 'x', size);
    expect(!is_tagged_mapping(memory));
    expect(mprotect(memory, size, read_write | PROT_MTE) == 0);
    expect_tags(memory, size, 0);
    for (size_t i = 0; i < size; i++)
        expect(memory[i] == 'x');
    memset(memory, 0, size);
    check_mapping(memory);
}

/// The mapping is split.
static void by_mprotect_of_a_page(void) {
    char *memory = map(size, read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    expect(mprotect(memory + page_size, page_size, read_write | PROT_MTE) == 0);
    set_tags(memory + page_size, page_size, 9);
    expect_tags(memory + page_size, page_size, 9);
    expect(is_tagged_mapping(memory + page_size));
    expect(!is_tagged_mapping(memory) && !is_tagged_mapping(memory + 2 * page_size));
}

static void refused_for_other_files(void) {
    int fd = file_on("ramfs", size);
    expect_errno(mmap(NULL, size, read_write | PROT_MTE, MAP_SHARED, fd, 0), EINVAL);
    expect_errno(mmap(NULL, size, read_write | PROT_MTE, MAP_PRIVATE, fd, 0), EINVAL);
    expect_errno(mprotect(map(size, read_write, MAP_SHARED, fd), size, read_write | PROT_MTE), EINVAL);
    expect_errno(mprotect(map(size, read_write, MAP_PRIVATE, fd), size, read_write | PROT_MTE), EINVAL);
}

static void refused_for_vdso(void) {
    void *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
    expect(vdso != NULL);
    expect_errno(mprotect(vdso, page_size, PROT_READ | PROT_EXEC | PROT_MTE), EINVAL);
}

/// Through other memory tags are not to be had: they read as 0, and stores of them do nothing.
static void no_tags_elsewhere(void) {
    char *memory = map(size, read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    enter(PR_MTE_TCF_SYNC, nonzero_tags);
    catch_faults(0);
    memset(memory, 'x', size);
    set_tags(memory, size, 5);
    expect_tags(memory, size, 0);
    for (unsigned tag = 0; tag < tag_count; tag++)
        expect(load_fault(with_tag(memory, tag)) == 0 && store_fault(with_tag(memory, tag), 'y') == 0);
}

/// Pages that had tags come back without, many more than the kernel keeps in a list of its own.
static void tags_of_used_pages(void) {
    enum { many = 2048 };
    for (unsigned round = 0; round < 4; round++) {
        char *memory = map_tagged(many);
        expect_tags(memory, many * page_size, 0);
        memset(memory, 0xff, many * page_size);
        set_tags(memory, many * page_size, 1 + round);
        expect(munmap(memory, many * page_size) == 0);
    }
}

static void not_cleared_by_mprotect(void) {
    char *memory = map_tagged(pages);
    enter(PR_MTE_TCF_SYNC, nonzero_tags);
    catch_faults(0);
    char *tagged = set_tags(memory, size, 6);
    expect(mprotect(memory, size, PROT_READ) == 0 && mprotect(memory, size, read_write) == 0);
    expect(is_tagged_mapping(memory));
    expect_tags(memory, size, 6);
    expect(store_fault(tagged, 1) == 0 && load_fault(memory) == SEGV_MTESERR);
}

static void dontneed(void) {
    char *memory = map_tagged(pages);
    memset(memory, 'x', size);
    set_tags(memory, size, 12);
    expect(madvise(memory, size, MADV_DONTNEED) == 0);
    expect_tags(memory, size, 0);
    for (size_t i = 0; i < size; i++)
        expect(memory[i] == 0);
    expect(is_tagged_mapping(memory));
}

/// Tags may be gone as soon as data may be, and a page has all of both or none.
static void free_later(void) {
    char *memory = map_tagged(pages);
    memset(memory, 'x', size);
    set_tags(memory, size, 12);
    expect(madvise(memory, size, MADV_FREE) == 0);
    for (size_t page = 0; page < size; page += page_size) {
        unsigned tag = memory_tag(memory + page);
        expect(tag == 0 || tag == 12);
        expect_tags(memory + page, page_size, tag);
        expect(memory[page] == (tag == 0 ? 0 : 'x'));
    }
}

/// Two mappings of one file have the same tags; one without PROT_MTE has the same data, unchecked.
static void shared_between_mappings(void) {
    int fd = memfd_create("clause", MFD_CLOEXEC);
    expect(fd >= 0 && ftruncate(fd, size) == 0);
    char *first = map(size, read_write | PROT_MTE, MAP_SHARED, fd);
    char *second = map(size, read_write | PROT_MTE, MAP_SHARED, fd);
    char *plain = map(size, read_write, MAP_SHARED, fd);
    enter(PR_MTE_TCF_SYNC, nonzero_tags);
    catch_faults(0);
    char *tagged = set_tags(first, size, 3);
    strcpy(tagged, "seen by all");
    expect_tags(second, size, 3);
    expect(strcmp(with_tag(second, 3), "seen by all") == 0 && strcmp(plain, "seen by all") == 0);
    expect(load_fault(second) == SEGV_MTESERR && load_fault(plain) == 0);
    set_tags(second, size, 0);
    expect(load_fault(tagged) == SEGV_MTESERR && load_fault(first) == 0);
}

static void moved_by_mremap(void) {
    char *memory = map_tagged(pages);
    for (size_t i = 0; i < pages; i++)
        set_tags(memory + i * page_size, page_size, 1 + (unsigned)i);
    char *room = map(2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    char *moved = mremap(memory, size, 2 * size, MREMAP_MAYMOVE | MREMAP_FIXED, room);
    expect(moved == room && is_tagged_mapping(moved));
    for (size_t i = 0; i < 2 * pages; i++)
        expect_tags(moved + i * page_size, page_size, i < pages ? 1 + (unsigned)i : 0);
}

const struct clause mapping_clauses[] = {
    {"hwcap-mte", hwcap},
    {"hwcap-mte3", hwcap_asymmetric},
#ifdef __aarch64__
    {"cpuinfo", cpuinfo},
#endif
    {"prot-mte-anonymous-private", anonymous_private},
    {"prot-mte-anonymous-shared", anonymous_shared},
    {"prot-mte-tmpfs-shared", tmpfs_shared},
    {"prot-mte-tmpfs-private", tmpfs_private},
    {"prot-mte-memfd", memory_file},
    {"prot-mte-posix-shm", posix_shared_memory},
#ifdef __aarch64__
    {"prot-mte-sysv-shm", system_v_shared_memory},
#endif
    {"prot-mte-by-mprotect", by_mprotect},
    {"prot-mte-by-mprotect-of-a-page", by_mprotect_of_a_page},
    {"prot-mte-refused-for-other-files", refused_for_other_files},
    {"prot-mte-refused-for-vdso", refused_for_vdso},
    {"no-tags-without-prot-mte", no_tags_elsewhere},
    {"tags-of-used-pages-are-cleared", tags_of_used_pages},
    {"mprotect-does-not-clear-prot-mte", not_cleared_by_mprotect},
    {"madv-dontneed-clears-tags", dontneed},
    {"madv-free-may-clear-tags", free_later},
    {"tags-shared-between-mappings", shared_between_mappings},
    {"tags-moved-by-mremap", moved_by_mremap},
    {NULL, NULL},
};
