/*
 * What is said of a tag check fault: to the device's log, and to whom TAGMEM_REPORT names, a descriptor, in the words that
 * tagmemd's FaultReport reads. All of it async-signal-safe: no stdio, no lock.
 */
#include "Report.h"
#include "Space/Kernel.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

enum { frames_max = 32, row = 256 };

static int listener = -1;

/* A report is one write of less than PIPE_BUF, so those of threads and processes do not mix. */
struct text {
	size_t length;
	char bytes[4000];
};

static void put(struct text *text, const char *word) {
	while (*word && text->length < sizeof text->bytes) text->bytes[text->length++] = *word++;
}

static void put_number(struct text *text, uint64_t number, unsigned base) {
	char digits[24];
	size_t at = sizeof digits;
	digits[--at] = 0;
	do digits[--at] = "0123456789abcdef"[number % base];
	while (number /= base);
	put(text, base == 16 ? "0x" : "");
	put(text, digits + at);
}

/* A line that does not fit is left out. */
static void end_line(struct text *text, size_t start) {
	if (text->length + 2 >= sizeof text->bytes) text->length = start;
	else text->bytes[text->length++] = '\n';
}

static void put_field(struct text *text, const char *name, uint64_t number, unsigned base) {
	put(text, name);
	put_number(text, number, base);
}

static void put_tag(struct text *text, unsigned tag) {
	char digit[2] = { "0123456789abcdef"[tag & 0xf], 0 };
	put(text, digit);
}

static void put_fault(struct text *text, const struct tagmem_span *span, const struct tagmem_report *report, uintptr_t address) {
	static const char *const modes[] = { "none", "sync", "async", "asymm" };
	struct tagmem_pointer pointer = tagmem_pointer_of(address);
	char command[17] = { 0 };
	tagmem_call(SYS_prctl, PR_GET_NAME, command);
	for (char *c = command; *c; c++) {
		if ((unsigned char)*c < ' ') *c = '?';
	}
	put(text, report->store ? "fault access=store" : "fault access=load");
	put_field(text, " size=", report->size, 10);
	put_field(text, " address=", address, 16);
	put_field(text, " offset=", pointer.offset, 16);
	put(text, " address_tag=");
	put_tag(text, pointer.tag);
	put(text, " allocation_tag=");
	put_tag(text, report->allocation_tag);
	put(text, " mode=");
	put(text, modes[report->mode & TAGMEM_MODE_MASK]);
	put_field(text, " pid=", (uint64_t)tagmem_call(SYS_getpid), 10);
	put(text, " comm=");
	put(text, command);
	end_line(text, 0);
	size_t start = text->length;
	uint64_t first = pointer.offset / row * row, from = first >= row ? first - row : 0;
	put_field(text, "tags ", from, 16);
	put(text, " ");
	for (uint64_t at = from; at < first + 2 * row; at += TAGMEM_GRANULE) {
		if (tagmem_page_of(span, at)) put_tag(text, tagmem_tag_at(span, at));
		else put(text, "-");
	}
	end_line(text, start);
}

static void put_frame(struct text *text, uintptr_t address) {
	struct dl_find_object object;
	bool is_known = _dl_find_object((void *)address, &object) == 0 && object.dlfo_link_map != NULL;
	const char *name = is_known ? object.dlfo_link_map->l_name : "";
	char program[512] = "?";
	size_t start = text->length;
	put_field(text, "frame ", address - (is_known ? object.dlfo_link_map->l_addr : 0), 16);
	put(text, " ");
	if (*name == 0 && tagmem_call(SYS_readlink, "/proc/self/exe", program, sizeof program - 1) > 0) name = program;
	put(text, *name ? name : program);
	end_line(text, start);
}

/* From the access on outwards: what is inside of it is the library's. */
static void put_frames(struct text *text) {
	void *frames[frames_max];
	int count = backtrace(frames, frames_max), first = 0;
	uintptr_t access = tagmem_thread.access_at;
	while (first < count && (uintptr_t)frames[first] != access) first++;
	if (first == count) {
		put_frame(text, access);
		return;
	}
	for (; first < count; first++) put_frame(text, (uintptr_t)frames[first]);
}

void tagmem_report_fault(const struct tagmem_span *span, const struct tagmem_judgement *judgement, size_t size, bool is_store,
                         unsigned mode) {
	struct tagmem_pointer pointer = tagmem_pointer_of(judgement->address);
	struct tagmem_piece piece = tagmem_piece_of(span, pointer.offset, pointer.offset + 1);
	struct tagmem_report record = {
		.address = piece.offset | (uint64_t)pointer.tag << 56,
		.size = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX,
		.store = is_store,
		.mode = (uint8_t)mode,
		.allocation_tag = (uint8_t)judgement->allocation_tag,
	};
	tagmem_call(SYS_ioctl, piece.mem, TAGMEM_REPORT_FAULT, &record);
	if (listener < 0) return;
	int error = errno;
	struct text text = { 0 };
	put_fault(&text, span, &record, judgement->address);
	if (tagmem_thread.access_at != 0) put_frames(&text);
	text.bytes[text.length++] = '\n';
	tagmem_call(SYS_write, listener, text.bytes, text.length);
	errno = error;
}

/* Whether somebody listens. The first backtrace loads the unwinder, which a handler must not. */
static __attribute__((constructor(101))) void find_listener(void) {
	const char *word = getenv("TAGMEM_REPORT");
	char *end;
	if (word == NULL || *word == 0) return;
	long number = strtol(word, &end, 10);
	if (*end != 0 || number < 0 || number > INT32_MAX || tagmem_call(SYS_fcntl, number, 1 /* F_GETFD */) < 0) return;
	void *frame[1];
	backtrace(frame, 1);
	listener = (int)number;
}
