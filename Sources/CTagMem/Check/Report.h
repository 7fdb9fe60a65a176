#ifndef TAGMEM_REPORT_H
#define TAGMEM_REPORT_H

#include "internal.h"

#pragma GCC visibility push(hidden)
/* Says that an access is a tag check fault, in this mode (TAGMEM_MODE_…). */
void tagmem_report_fault(const struct tagmem_span *span, const struct tagmem_judgement *judgement, size_t size, bool is_store,
                         unsigned mode);
#pragma GCC visibility pop

#endif
