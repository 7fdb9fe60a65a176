/* getauxval: the capabilities of a machine with MTE, where the environment is one. */
#include "Environment.h"

#include <elf.h>
#include <fcntl.h>

/* Of Linux's arm64, whose bits mean nothing here otherwise. */
enum {
	hwcap2_mte = 1 << 18,
	hwcap2_mte3 = 1 << 22,
	hwcap3_mte_far = 1 << 0,
	hwcap3_mte_store_only = 1 << 1,
	type_hwcap3 = 29,
	type_most = 64,
	control_auxv = 0x41555856, /* PR_GET_AUXV */
};

static Elf64_auxv_t vector[type_most];
static _Atomic bool is_read;

/* The kernel has it, and tells it in one of two ways, the first since 6.4. */
static void read_vector(void) {
	if (is_read)
		return;
	Elf64_auxv_t fresh[type_most];
	memset(fresh, 0, sizeof fresh);
	if (tagmem_call(SYS_prctl, control_auxv, fresh, sizeof fresh, 0, 0) <= 0) {
		long file = tagmem_call(SYS_openat, AT_FDCWD, "/proc/self/auxv", O_RDONLY | O_CLOEXEC);
		if (file >= 0) {
			tagmem_call(SYS_read, file, fresh, sizeof fresh - sizeof *fresh);
			tagmem_call(SYS_close, file);
		}
	}
	memcpy(vector, fresh, sizeof vector);
	is_read = true;
}

/* Bits that the environment adds. */
static unsigned long added(unsigned long type) {
	if (tagmem_environment == NULL)
		return 0;
	return type == AT_HWCAP2 ? hwcap2_mte | hwcap2_mte3
	       : type == type_hwcap3 ? hwcap3_mte_far | hwcap3_mte_store_only
				     : 0;
}

unsigned long getauxval(unsigned long type);

TAGMEM_EXPORT unsigned long getauxval(unsigned long type) {
	tagmem_begin();
	read_vector();
	for (size_t i = 0; i < type_most && vector[i].a_type != AT_NULL; i++) {
		if (vector[i].a_type == type)
			return vector[i].a_un.a_val | added(type);
	}
	if (added(type) == 0)
		errno = ENOENT;
	return added(type);
}
