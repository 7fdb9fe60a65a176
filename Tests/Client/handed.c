/// `handed`: the descriptor of a view in the hands of another user.
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const uid_t nobody = 65534;

static void become_nobody(void) {
    if (setresgid(nobody, nobody, nobody) != 0 || setresuid(nobody, nobody, nobody) != 0)
        fail_errno("setresuid");
}

/// Everything that a program does with it; what fstat fails with, or 0, is its status.
static _Noreturn void use(int view, const char *path) {
    become_nobody();
    uint8_t bytes[3 * granule_size] = {0};
    step("pread and pwrite");
    read_exactly(view, bytes, granule_size, 0, "its tag");
    write_exactly(view, "nobody", 6, granule_size, "its tag");
    expect_read(view, bytes, granule_size, page_size, 0, "another tag");
    expect_write(view, bytes, granule_size, page_size, 0, "another tag");
    step("mmap");
    catch_faults();
    uint8_t *map = map_file(view, 0, 2 * page_size, PROT_READ | PROT_WRITE);
    if (expect_load(map + granule_size, "what was written") != 'n')
        fail("what was written is %#x", map[granule_size]);
    expect_store(map + 2 * granule_size, 0x77, "its tag");
    if (msync(map, page_size, MS_SYNC) != 0)
        fail_errno("msync");
    expect_load_fault(map + page_size, "another tag");
    step("fstat");
    struct stat status;
    int error = fstat(view, &status) == 0 ? 0 : errno;
    // No other one is to be had.
    if (error != 0 && (open(path, O_RDWR) >= 0 || errno != EACCES))
        fail_errno("open");
    _exit(error);
}

int handed_main(int count, char **arguments) {
    if (count != 1)
        usage();
    int mem = make_object(arguments[0], "tagged/handed");
    if (ftruncate(mem, 2 * page_size) != 0)
        fail_errno("ftruncate");
    char directory[4096], path[4120];
    snprintf(directory, sizeof directory, "%s/tagged/handed", arguments[0]);
    snprintf(path, sizeof path, "%s/views/0", directory);
    set_page_tags(open_file(directory, "tags", O_RDWR), page_size, 1, 5);
    int view = open_view(directory, 0, O_RDWR);
    pid_t child = fork();
    if (child < 0)
        fail_errno("fork");
    if (child == 0)
        use(view, path);
    int status;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
        fail("it has ended with status %#x", status);
    uint8_t found[granule_size + 1];
    read_exactly(mem, found, sizeof found, granule_size, "what it wrote");
    if (memcmp(found, "nobody", 6) != 0 || found[granule_size] != 0x77)
        fail("what it wrote is not there");
    printf("fstat: %s\n", WEXITSTATUS(status) == 0 ? "ok" : errno_name(WEXITSTATUS(status)));
    printf("ok handed\n");
    return 0;
}
