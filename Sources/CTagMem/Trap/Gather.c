/* Gathers and scatters: element by element in order, and what is done remains done where one faults, as by a processor. */
#include "Trap.h"

#include <string.h>

struct elements {
	uint8_t vector[64], indices[64];
	uint64_t mask; /* those that are left */
};

static uintptr_t element_address(const struct tagmem_attempt *attempt, const struct elements *elements, unsigned i) {
	const struct tagmem_plan *plan = attempt->plan;
	struct tagmem_form form = plan->form;
	int64_t index;
	if (plan->index_size == 4) {
		int32_t narrow;
		memcpy(&narrow, elements->indices + 4 * i, sizeof narrow);
		index = narrow;
	} else {
		memcpy(&index, elements->indices + 8 * i, sizeof index);
	}
	form.index = -1;
	form.displacement += (int64_t)((uint64_t)index * form.scale);
	return tagmem_address(&form, attempt->run.gpr);
}

static bool do_element(struct tagmem_attempt *attempt, struct elements *elements, unsigned i) {
	const struct tagmem_plan *plan = attempt->plan;
	uint8_t *element = elements->vector + (size_t)plan->size * i;
	attempt->count = 0;
	return tagmem_admit(attempt, tagmem_operand_at(plan, element_address(attempt, elements, i), plan->size)) &&
	    (plan->is_store ? tagmem_put(attempt, attempt->places, element) : tagmem_fetch(attempt, element, attempt->places));
}

/* The vector's masks are sign bits, and those of elements that are done become 0. */
static void store_mask(const struct tagmem_attempt *attempt, uint64_t mask) {
	const struct tagmem_plan *plan = attempt->plan;
	uint8_t bytes[64];
	if (plan->is_opmask) {
		tagmem_opmask_store(attempt->context, plan->mask, mask);
		return;
	}
	tagmem_vector_load(attempt->context, plan->mask, bytes);
	for (unsigned i = 0; i < plan->mask_bits; i++) {
		if (!(mask >> i & 1)) {
			memset(bytes + (size_t)plan->size * i, 0, plan->size);
		}
	}
	tagmem_vector_store(attempt->context, plan->mask, bytes, mask == 0 ? 0 : sizeof bytes);
}

bool tagmem_do_gather(struct tagmem_attempt *attempt) {
	const struct tagmem_plan *plan = attempt->plan;
	struct elements elements = {.mask = tagmem_mask_of(attempt)};
	bool concerns = false;
	tagmem_vector_load(attempt->context, plan->operand, elements.vector);
	tagmem_vector_load(attempt->context, plan->form.index, elements.indices);
	for (unsigned i = 0; i < plan->mask_bits; i++) {
		concerns |= elements.mask >> i & 1 &&
		    tagmem_pointer_of(element_address(attempt, &elements, i)).span != NULL;
	}
	if (!concerns && !tagmem_concerns(attempt)) {
		return false;
	}
	bool is_done = true;
	for (unsigned i = 0; i < plan->mask_bits && is_done; i++) {
		if (elements.mask >> i & 1) {
			is_done = do_element(attempt, &elements, i);
			elements.mask &= ~((uint64_t)is_done << i);
		}
	}
	if (!plan->is_store) {
		size_t size = (size_t)plan->size * plan->mask_bits;
		tagmem_vector_store(attempt->context, plan->operand, elements.vector, is_done ? size : sizeof elements.vector);
	}
	store_mask(attempt, elements.mask);
	return is_done;
}
