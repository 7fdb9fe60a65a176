// libfdt as Swift imports it, and what of it only C can say. There is no pkg-config file for it.
#ifndef CFDT_H
#define CFDT_H

#include <libfdt.h>

#include <stdint.h>

// MARK: Macros, which do not import

/// `fdt_totalsize`: bytes of the whole blob, as its header says. Needs the first 40 bytes of a blob.
static inline uint32_t cfdt_totalsize(const void *blob) { return fdt_totalsize(blob); }

/// `fdt_magic`: FDT_MAGIC at the start of a blob.
static inline uint32_t cfdt_magic(const void *blob) { return fdt_magic(blob); }

/// `fdt_version`: which version of the format the blob has.
static inline uint32_t cfdt_version(const void *blob) { return fdt_version(blob); }

#endif
