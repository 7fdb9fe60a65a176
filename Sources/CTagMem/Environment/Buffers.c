/* Buffers of the program's, for the kernel. */
#include "Buffers.h"

#include <linux/prctl.h>

bool tagmem_has_spans(void) {
	for (size_t i = 0; i < tagmem_span_count; i++) {
		if (tagmem_spans[i] != NULL)
			return true;
	}
	return false;
}

/* Without PR_TAGGED_ADDR_ENABLE the kernel takes no pointers with tags. Those to attached memory it does, until the thread has
 * said something else. */
static bool is_tag_refused(struct tagmem_pointer pointer) {
	bool is_asked = pointer.span->is_environment || tagmem_thread.has_control;
	return is_asked && !(tagmem_thread.control & PR_TAGGED_ADDR_ENABLE) && pointer.tag != 0;
}

/* Its accesses are those of a synchronous load or store, but for PSTATE.TCO, and are not checked where those are not. */
static size_t reach_of(uintptr_t address, size_t length, bool is_store) {
	bool tco = tagmem_thread.tco;
	tagmem_thread.tco = false;
	tagmem_thread.access_at = 0;
	while (length > 0) {
		struct tagmem_judgement judgement = tagmem_judge(address, length, is_store, false);
		if (judgement.verdict == TAGMEM_ALLOWED || judgement.verdict == TAGMEM_ALLOWED_DEFERRED)
			break;
		/* What is not mapped is found before tags that differ, which may come before it. */
		length = judgement.address - address < length ? judgement.address - address : 0;
	}
	tagmem_thread.tco = tco;
	return length;
}

ssize_t tagmem_user_buffer(const void *buffer, size_t length, bool is_store, void **plain) {
	*plain = (void *)buffer;
	struct tagmem_pointer pointer = tagmem_pointer_of((uintptr_t)buffer);
	if (pointer.span == NULL || length == 0)
		return (ssize_t)length;
	if (is_tag_refused(pointer))
		return -1;
	size_t reach = reach_of((uintptr_t)buffer, length, is_store);
	if (reach == 0)
		return -1;
	*plain = pointer.span->plain + pointer.offset;
	return (ssize_t)reach;
}

size_t tagmem_buffer(const void *buffer, size_t length, bool is_store, void **plain) {
	ssize_t reach = tagmem_user_buffer(buffer, length, is_store, plain);
	if (reach >= 0)
		return (size_t)reach;
	*plain = tagmem_refused;
	return length;
}

void *tagmem_struct(const void *pointer, size_t size, bool is_store) {
	void *plain;
	ssize_t reach = tagmem_user_buffer(pointer, size, is_store, &plain);
	return reach == (ssize_t)size ? plain : tagmem_refused;
}

const char *tagmem_string(const char *string) {
	enum { step = 256, most = 1 << 17 };
	struct tagmem_pointer pointer = tagmem_pointer_of((uintptr_t)string);
	if (pointer.span == NULL)
		return string;
	for (size_t at = 0; at < most; at += step) {
		void *plain;
		ssize_t reach = tagmem_user_buffer(string + at, step, false, &plain);
		for (ssize_t i = 0; i < reach; i++) {
			int byte = tagmem_touch_load((uint8_t *)plain + i);
			if (byte <= 0)
				return byte == 0 ? pointer.span->plain + pointer.offset : tagmem_refused;
		}
		if (reach < step)
			return tagmem_refused;
	}
	return pointer.span->plain + pointer.offset;
}

int tagmem_vector(const struct iovec *vector, int count, bool is_store, struct iovec *plain) {
	if (count <= 0 || count > tagmem_vector_max)
		return count;
	vector = tagmem_struct(vector, (size_t)count * sizeof *vector, false);
	if (vector == tagmem_refused) {
		plain[0] = (struct iovec){tagmem_refused, 1};
		return 1;
	}
	bool has_some = false;
	for (int i = 0; i < count; i++) {
		void *at;
		ssize_t reach = tagmem_user_buffer(vector[i].iov_base, vector[i].iov_len, is_store, &at);
		/* What comes before the first that is refused is done. */
		if (reach < 0 && has_some)
			return i;
		plain[i] = reach < 0 ? (struct iovec){tagmem_refused, vector[i].iov_len} : (struct iovec){at, (size_t)reach};
		if (reach < (ssize_t)vector[i].iov_len)
			return i + 1;
		has_some |= reach > 0;
	}
	return count;
}
