/*
 * Scudo's interface to memory tags, for x86-64 with libtagmem, in place of its own memtag.h, which is assembly for Arm:
 * `-include tagmem/compat.h -include memtag.h`. It has that header's include guard.
 *
 * An attached address has its tag in bits 43:40. All that is not attached, such as the stack, has none to take off.
 */
#ifndef SCUDO_MEMTAG_H_
#define SCUDO_MEMTAG_H_

#include "internal_defs.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <tagmem/arm_acle.h>
#include <tagmem/environment.h>

namespace scudo {

/* MARK: Pointers */

inline constexpr bool archSupportsMemoryTagging() { return true; }
inline constexpr uptr archMemoryTagGranuleSize() { return TAGMEM_GRANULE; }

inline uptr untagPointer(uptr Ptr) {
	Ptr &= (uptr(1) << 56) - 1;
	return tagmem_is_attached(Ptr) ? Ptr & ~TAGMEM_TAG_MASK : Ptr;
}
inline void *untagPointer(void *Ptr) { return reinterpret_cast<void *>(untagPointer(reinterpret_cast<uptr>(Ptr))); }

inline uint8_t extractTag(uptr Ptr) {
	return static_cast<uint8_t>(__builtin_ctzll(tagmem_gmi(reinterpret_cast<void *>(Ptr), 0)));
}

inline uptr addFixedTag(uptr Ptr, uptr Tag) {
	DCHECK_LT(Tag, 16);
	DCHECK_EQ(untagPointer(Ptr), Ptr);
	return tagmem_is_attached(Ptr) ? Ptr | Tag << TAGMEM_TAG_SHIFT : Ptr;
}
inline void *addFixedTag(void *Ptr, uptr Tag) {
	return reinterpret_cast<void *>(addFixedTag(reinterpret_cast<uptr>(Ptr), Tag));
}

/* IRG. Scudo has tag 0 for its own headers. */
inline uptr selectRandomTag(uptr Ptr, uptr ExcludeMask) {
	return reinterpret_cast<uptr>(tagmem_irg(reinterpret_cast<void *>(Ptr), ExcludeMask | 1));
}

/* MARK: The system */

inline bool systemSupportsMemoryTagging() { return getauxval(AT_HWCAP2) & HWCAP2_MTE; }

inline bool systemDetectsMemoryTagFaultsTestOnly() {
	int Control = prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0);
	return Control != -1 && (static_cast<uptr>(Control) & PR_MTE_TCF_MASK) != PR_MTE_TCF_NONE;
}

inline void enableSystemMemoryTaggingTestOnly() {
	prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | 0xfffeul << PR_MTE_TAG_SHIFT, 0, 0, 0);
}

class ScopedDisableMemoryTagChecks {
	bool Previous;

public:
	ScopedDisableMemoryTagChecks() : Previous(tagmem_tco()) { tagmem_set_tco(true); }
	~ScopedDisableMemoryTagChecks() { tagmem_set_tco(Previous); }
};

/* MARK: Tags of memory */

inline void storeTag(uptr Ptr) {
	DCHECK_EQ(0, Ptr % 16);
	tagmem_stg_straight(reinterpret_cast<void *>(Ptr));
}

inline uptr loadTag(uptr Ptr) {
	DCHECK_EQ(0, Ptr % 16);
	return reinterpret_cast<uptr>(tagmem_ldg_straight(reinterpret_cast<void *>(Ptr)));
}
inline void *loadTag(void *Ptr) { return reinterpret_cast<void *>(loadTag(reinterpret_cast<uptr>(Ptr))); }

/* STZG, from Begin until End is reached: that address. STG where it cannot be done raises the signal. */
inline uptr storeTags(uptr Begin, uptr End) {
	DCHECK_EQ(0, Begin % 16);
	if (Begin >= End) return Begin;
	uptr Size = (End - Begin + TAGMEM_GRANULE - 1) / TAGMEM_GRANULE * TAGMEM_GRANULE;
	if (tagmem_set_tags_zero(reinterpret_cast<void *>(Begin), Size) == 0) return Begin + Size;
	for (uptr End = Begin + Size; Begin < End; Begin += TAGMEM_GRANULE) {
		tagmem_stg(reinterpret_cast<void *>(Begin));
		memset(reinterpret_cast<void *>(Begin), 0, TAGMEM_GRANULE);
	}
	return Begin;
}

inline void setRandomTag(void *Ptr, uptr Size, uptr ExcludeMask, uptr *TaggedBegin, uptr *TaggedEnd) {
	*TaggedBegin = selectRandomTag(reinterpret_cast<uptr>(Ptr), ExcludeMask);
	*TaggedEnd = storeTags(*TaggedBegin, *TaggedBegin + Size);
}

template <typename Config> inline constexpr bool allocatorSupportsMemoryTagging() {
	return archSupportsMemoryTagging() && Config::getMaySupportMemoryTagging() &&
	       (1 << SCUDO_MIN_ALIGNMENT_LOG) >= archMemoryTagGranuleSize();
}

} // namespace scudo

#endif
