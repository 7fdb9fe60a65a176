/* Pages of views that the device refuses, as not all of their tags are the view's: closed for as long as that is so. */
#include "Scan.h"

void tagmem_page_refused(uintptr_t address, bool is_by_device) {
	struct tagmem_pointer pointer = tagmem_pointer_of(address);
	if (!pointer.span || !(pointer.span->flags & TAGMEM_VIEWS)) return;
	uint64_t start = pointer.offset & ~(uint64_t)(tagmem_page - 1);
	struct tagmem_found found = tagmem_scan(pointer.span, pointer.tag, start, start + tagmem_page);
	if (is_by_device && found.what == tagmem_differs) tagmem_close_refused_page(address);
	if (!is_by_device && found.what == tagmem_all_match) tagmem_open_refused_page(address);
}
