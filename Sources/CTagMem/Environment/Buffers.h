/*
 * What a program gives the kernel: found through the plain alias, so that closed pages are none of the kernel's business, and
 * checked as the kernel checks on a machine with MTE. What it would refuse is the pointer `tagmem_refused`: the kernel
 * says EFAULT if it comes to that, after all else that it says.
 */
#ifndef TAGMEM_BUFFERS_H
#define TAGMEM_BUFFERS_H

#include "Environment.h"

#include <sys/uio.h>

#pragma GCC visibility push(hidden)

#define tagmem_refused ((void *)8)

/* Whether there is anything to look at. */
bool tagmem_has_spans(void);

/* How much of a buffer the kernel gets, and where: all of one that it refuses. */
size_t tagmem_buffer(const void *buffer, size_t length, bool is_store, void **plain);
/* A struct, of which all or nothing; NULL stays NULL. */
void *tagmem_struct(const void *pointer, size_t size, bool is_store);
/* A string, such as a path. */
const char *tagmem_string(const char *string);
/* As many as the kernel gets of `count` buffers, in `plain`; more than 1024 are none (EINVAL is the kernel's). */
enum { tagmem_vector_max = 1024 };
int tagmem_vector(const struct iovec *vector, int count, bool is_store, struct iovec *plain);

/* For functions that make a system call of their arguments. */
#define TAGMEM_IN(pointer) tagmem_struct(pointer, sizeof *(pointer), false)
#define TAGMEM_OUT(pointer) tagmem_struct(pointer, sizeof *(pointer), true)

#pragma GCC visibility pop

#endif
