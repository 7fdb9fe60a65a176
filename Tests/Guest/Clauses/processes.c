/// "Initial process state": what fork and exec keep.
#include "clauses.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { pages = 3, size = pages * page_size };

/// Three pages, of the tags 1, 2 and 3 and the data of the same.
static char *prepare(void *memory) {
    char *bytes = memory;
    for (unsigned i = 0; i < pages; i++) {
        memset(bytes + i * page_size, (int)i + 1, page_size);
        set_tags(bytes + i * page_size, page_size, i + 1);
    }
    return memory;
}

static void expect_pages(char *memory, unsigned first) {
    for (unsigned i = 0; i < pages; i++) {
        expect_tags(memory + i * page_size, page_size, first + i);
        expect(memory[i * page_size + 100] == (char)(first + i));
    }
}

/// A store of data, one of tags, and both, on pages of which there is one for two processes.
static void change(void *memory) {
    char *bytes = memory;
    expect_pages(bytes, 1);
    bytes[100] = 'c';
    set_tags(bytes + page_size, granule_size, 9);
    memset(bytes + 2 * page_size, 'c', page_size);
    set_tags(bytes + 2 * page_size, page_size, 8);
    expect(bytes[100] == 'c' && bytes[101] == 1 && bytes[page_size] == 2);
    expect_tags(bytes, page_size, 1);
    expect_tags(bytes + page_size, granule_size, 9);
    expect_tags(bytes + page_size + granule_size, page_size - granule_size, 2);
    expect_tags(bytes + 2 * page_size, page_size, 8);
}

static void copy_on_write(void) {
    char *memory = prepare(map_tagged(pages));
    in_child(change, memory);
    expect_pages(memory, 1);
    change(memory);
}

/// The pages of a file that is mapped privately: their tags come along, and the file's stay.
static void copy_on_write_of_a_file(void) {
    int fd = file_on("tmpfs", size);
    char *shared = prepare(map(size, PROT_READ | PROT_WRITE | PROT_MTE, MAP_SHARED, fd));
    change(map(size, PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE, fd));
    expect_pages(shared, 1);
}

static void change_all(void *memory) {
    for (unsigned i = 0; i < pages; i++) {
        memset((char *)memory + i * page_size, (int)i + 4, page_size);
        set_tags((char *)memory + i * page_size, page_size, i + 4);
    }
}

static void shared_with_child(void) {
    char *memory = prepare(map(size, PROT_READ | PROT_WRITE | PROT_MTE, MAP_SHARED | MAP_ANONYMOUS, -1));
    in_child(change_all, memory);
    expect_pages(memory, 4);
}

static void expect_inherited(void *memory) {
    expect(prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0) ==
           (long)(PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | 0x1230UL << PR_MTE_TAG_SHIFT));
    expect(is_tagged_mapping(memory));
    expect(load_fault(memory) == SEGV_MTESERR && load_fault(with_tag(memory, 1)) == 0);
    enter(PR_MTE_TCF_NONE, 0);
}

static void inherited_by_fork(void) {
    char *memory = prepare(map_tagged(pages));
    catch_faults(0);
    enter(PR_MTE_TCF_SYNC, 0x1230);
    in_child(expect_inherited, memory);
    expect(load_fault(memory) == SEGV_MTESERR);
}

static void expect_wiped(void *memory) {
    expect(is_tagged_mapping(memory));
    expect_tags(memory, size, 0);
    for (size_t i = 0; i < size; i++)
        expect(((char *)memory)[i] == 0);
}

static void wiped_on_fork(void) {
    char *memory = prepare(map_tagged(pages));
    expect(madvise(memory, size, MADV_WIPEONFORK) == 0);
    in_child(expect_wiped, memory);
    expect_pages(memory, 1);
}

#ifdef __aarch64__

int print_initial_state(void) {
    unsigned tagged = 0;
    char line[512];
    FILE *smaps = fopen("/proc/self/smaps", "re");
    while (smaps != NULL && fgets(line, sizeof line, smaps) != NULL)
        tagged += strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " mt") != NULL;
    bool right = smaps != NULL && prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0) == 0 && !tco() && tagged == 0;
    return right ? 0 : 1;
}

#else

int print_initial_state(void) {
    return prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0) == 0 && !tco() ? 0 : 1;
}

#endif

static void execute(void *unused) {
    (void)unused;
    prepare(map_tagged(pages));
    enter(PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC, all_tags);
    set_tco(true);
    char *arguments[] = {"/proc/self/exe", "--initial-state", NULL};
    syscall(SYS_execve, arguments[0], arguments, environ);
    fail_errno("execve");
}

static void reset_by_exec(void) {
    in_child(execute, NULL);
}

const struct clause process_clauses[] = {
    {"fork-copies-tags-on-write", copy_on_write},
    {"file-tags-copied-on-write", copy_on_write_of_a_file},
    {"fork-shares-tags-of-shared-memory", shared_with_child},
    {"fork-inherits-modes-and-mappings", inherited_by_fork},
    {"fork-wipes-tags-of-madv-wipeonfork", wiped_on_fork},
    {"exec-resets-modes-and-tco", reset_by_exec},
    {NULL, NULL},
};
