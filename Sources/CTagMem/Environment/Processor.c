/* PSTATE.TCO, and the mode that processors prefer. */
#include "Environment.h"

#include <linux/prctl.h>
#include <stdlib.h>
#include <tagmem/environment.h>

void tagmem_set_tco(bool off) { tagmem_thread.tco = off; }

bool tagmem_tco(void) { return tagmem_thread.tco; }

static const struct {
	const char *name;
	unsigned mode;
	unsigned long control;
} modes[] = {
    {"sync", TAGMEM_MODE_SYNC, PR_MTE_TCF_SYNC},
    {"async", TAGMEM_MODE_ASYNC, PR_MTE_TCF_ASYNC},
    {"asymm", TAGMEM_MODE_ASYMM, PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC},
};
enum { mode_count = sizeof modes / sizeof *modes };

unsigned long tagmem_mode_named(const char *name, size_t length) {
	for (size_t i = 0; i < mode_count; i++) {
		if (strlen(modes[i].name) == length && memcmp(modes[i].name, name, length) == 0)
			return modes[i].control;
	}
	return 0;
}

int tagmem_set_preferred_mode(unsigned mode) {
	for (size_t i = 0; i < mode_count; i++) {
		if (modes[i].mode == mode) {
			tagmem_preferred = modes[i].control;
			return 0;
		}
	}
	errno = EINVAL;
	return -1;
}

unsigned tagmem_preferred_mode(void) {
	for (size_t i = 0; i < mode_count; i++) {
		if (modes[i].control == tagmem_preferred)
			return modes[i].mode;
	}
	return TAGMEM_MODE_ASYNC;
}

void tagmem_begin_processor(void) {
	const char *name = getenv("TAGMEM_PREFERRED");
	unsigned long mode = name != NULL ? tagmem_mode_named(name, strlen(name)) : 0;
	if (mode != 0)
		tagmem_preferred = mode;
}
