#include "Mapping.h"
int tagmem_map_file(const void *address, size_t length, int protection, int flags, int fd, off_t offset, uint64_t *start) {
(void)address,(void)length,(void)protection,(void)flags,(void)fd,(void)offset,(void)start; return EINVAL; }
bool tagmem_is_file_adopted(int fd){(void)fd;return false;}
