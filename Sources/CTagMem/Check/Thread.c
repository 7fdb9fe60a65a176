/* What each thread checks. */
#include "internal.h"

#include <linux/prctl.h>

_Thread_local struct tagmem_thread tagmem_thread;
unsigned long tagmem_preferred = PR_MTE_TCF_ASYNC;
