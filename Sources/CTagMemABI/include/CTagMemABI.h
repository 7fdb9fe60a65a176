// The words between the device and programs, for Swift: the public header, and what of it Swift does not import.
#ifndef CTAGMEMABI_H
#define CTAGMEMABI_H

#include "tagmem/ioctl.h"

#include <stdint.h>

static const uint32_t ctagmem_GET_TAGS = TAGMEM_GET_TAGS;
static const uint32_t ctagmem_SET_TAGS = TAGMEM_SET_TAGS;
static const uint32_t ctagmem_FILL_TAGS = TAGMEM_FILL_TAGS;
static const uint32_t ctagmem_EXECUTE = TAGMEM_EXECUTE;
static const uint32_t ctagmem_ACCESS = TAGMEM_ACCESS;
static const uint32_t ctagmem_GET_PROCESSOR = TAGMEM_GET_PROCESSOR;
static const uint32_t ctagmem_SET_PROCESSOR = TAGMEM_SET_PROCESSOR;
static const uint32_t ctagmem_GET_MODE = TAGMEM_GET_MODE;
static const uint32_t ctagmem_SET_MODE = TAGMEM_SET_MODE;
static const uint32_t ctagmem_REPORT_FAULT = TAGMEM_REPORT_FAULT;

#endif
