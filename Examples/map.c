// Maps one page of a view and uses it as memory.
//
//     map VIEW ADDRESS           prints the string at ADDRESS
//     map VIEW ADDRESS STRING    stores STRING there
//
// Through a view of another tag than the page's the kernel ends this program with SIGBUS, as an MTE machine ends one
// that uses a pointer with the wrong tag.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: map VIEW ADDRESS [STRING]\n");
        return 2;
    }
    off_t address = strtoll(arguments[2], NULL, 0), page = address & ~4095;
    int fd = open(arguments[1], O_RDWR);
    if (fd < 0) {
        perror(arguments[1]);
        return 1;
    }
    char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page);
    if (memory == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    char *here = memory + (address - page);
    if (count > 3)
        strcpy(here, arguments[3]);
    else
        puts(here);
    return 0;
}
