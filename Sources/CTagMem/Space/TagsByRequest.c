/* Tags that the device changes: in force everywhere when the request is answered. */
#include "Kernel.h"
#include "Tags.h"

#include <errno.h>
#include <string.h>

static int request(int file, unsigned long number, void *argument, long *result) {
	do *result = tagmem_call(SYS_ioctl, file, number, argument);
	while (*result == -EINTR);
	if (*result >= 0) return 0;
	/* Behind the end; of an object whose tags were dropped. */
	return *result == -ENXIO || *result == -EOPNOTSUPP ? EFAULT : (int)-*result;
}

int tagmem_store_by_request(struct tagmem_granules granules, const uint8_t *tags) {
	for (uint64_t done = 0; done < granules.count;) {
		uint64_t left = granules.count - done;
		uint64_t start = (granules.first + done) * TAGMEM_GRANULE;
		struct tagmem_piece piece = tagmem_piece_of(granules.span, start, start + left * TAGMEM_GRANULE);
		struct tagmem_tags argument = { .address = piece.offset };
		left = piece.length / TAGMEM_GRANULE;
		argument.count = left < TAGMEM_TAGS_MAX ? (uint32_t)left : TAGMEM_TAGS_MAX;
		memcpy(argument.tags, tags + done, argument.count);
		long result;
		int error = request(piece.mem, TAGMEM_SET_TAGS, &argument, &result);
		if (error) return error;
		done += argument.count;
	}
	return 0;
}

int tagmem_fill_by_request(struct tagmem_granules granules, uint8_t tag, bool zero) {
	uint64_t done = 0, length = granules.count * TAGMEM_GRANULE;
	while (done < length) {
		uint64_t start = granules.first * TAGMEM_GRANULE;
		struct tagmem_piece piece = tagmem_piece_of(granules.span, start + done, start + length);
		struct tagmem_fill argument = { .address = piece.offset, .length = piece.length, .tag = tag, .zero = zero };
		long result;
		int error = request(piece.mem, TAGMEM_FILL_TAGS, &argument, &result);
		if (error) return error;
		if (result == 0) return EFAULT;
		done += (uint64_t)result;
	}
	return 0;
}
