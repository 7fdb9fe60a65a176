#include "alias.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

char *alias, *plain;
int alias_file;
struct alias_call alias_calls[alias_calls_max];
int alias_call_count;
bool alias_is_bad[alias_size / 16];
enum tagmem_verdict alias_load_fault = TAGMEM_TAG_FAULT, alias_store_fault = TAGMEM_TAG_FAULT;
_Thread_local struct tagmem_trap_result alias_result;
_Thread_local volatile long alias_traps;
void (*alias_not_done)(int number, siginfo_t *info, ucontext_t *context);
bool alias_is_native;
bool alias_is_told_sigfpe = true;
int failures;
uint64_t seed;
static uint64_t random_state;

static struct tagmem_span span;
static uint16_t closed[alias_pages]; /* pages; how often */

static void map(int flags) {
	alias_file = memfd_create("alias", MFD_CLOEXEC);
	if (ftruncate(alias_file, alias_size) != 0) {
		abort();
	}
	alias = mmap(NULL, alias_size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, alias_file, 0);
	plain = mmap(NULL, alias_size, PROT_READ | PROT_WRITE, MAP_SHARED, alias_file, 0);
	span = (struct tagmem_span){.base = (uintptr_t)alias, .plain = plain, .closed = closed};
}

/* Check's. */
_Thread_local struct tagmem_thread tagmem_thread __attribute__((tls_model("initial-exec")));

void alias_map(void) { map(0); }

void alias_map_low(void) { map(MAP_32BIT); }

void alias_protect(int protection) {
	if (mprotect(alias, alias_size, protection) != 0) {
		abort();
	}
	for (int i = 0; i < alias_pages; i++) {
		closed[i] = protection == PROT_NONE;
	}
}

struct tagmem_pointer tagmem_pointer_of(uintptr_t address) {
	struct tagmem_pointer pointer = {.tag = address >> 56 & 0xf};
	uintptr_t offset = (address & ~((uintptr_t)0xff << 56)) - (uintptr_t)alias;
	if (offset < alias_size) {
		pointer.span = &span;
		pointer.offset = offset;
	}
	return pointer;
}

struct tagmem_judgement tagmem_judge(uintptr_t address, size_t size, bool is_store, bool reports) {
	struct tagmem_pointer pointer = tagmem_pointer_of(address);
	if (pointer.span == NULL) {
		return (struct tagmem_judgement){.verdict = TAGMEM_OUTSIDE};
	}
	(void)reports;
	int at = __atomic_fetch_add(&alias_call_count, 1, __ATOMIC_RELAXED);
	if (at < alias_calls_max) {
		alias_calls[at] = (struct alias_call){.address = address, .size = size, .is_store = is_store};
	}
	for (size_t granule = pointer.offset / 16; granule <= (pointer.offset + size - 1) / 16; granule++) {
		if (granule >= alias_size / 16) {
			return (struct tagmem_judgement){.verdict = TAGMEM_UNMAPPED, .address = address + size - 1};
		}
		if (alias_is_bad[granule]) {
			uintptr_t base = address - pointer.offset + granule * 16;
			return (struct tagmem_judgement){.verdict = is_store ? alias_store_fault : alias_load_fault,
			    .address = base > address ? base : address, .allocation_tag = 3};
		}
	}
	return (struct tagmem_judgement){.verdict = TAGMEM_ALLOWED};
}

static void handler(int number, siginfo_t *info, void *argument) {
	ucontext_t *context = argument;
	int error = errno;
	if ((number != SIGFPE || alias_is_told_sigfpe) && tagmem_trap_recover(info, context)) {
		return;
	}
	if (alias_is_native || number == SIGTRAP) {
		alias_not_done(number, info, context);
		return;
	}
	if (number == SIGFPE) {
		static const char text[] = "SIGFPE that is not recovered\n";
		(void)!write(2, text, sizeof text - 1);
		_exit(1);
	}
	alias_result = tagmem_trap(context);
	alias_traps++;
	if (alias_result.trap != TAGMEM_TRAP_DONE) {
		if (alias_not_done == NULL) {
			char text[200];
			int length = snprintf(text, sizeof text, "signal %d code %d at %p, pc %#llx: trap %d: %s\n", number,
			    info->si_code, info->si_addr, context->uc_mcontext.gregs[REG_RIP], alias_result.trap, alias_result.text);
			(void)!write(2, text, (size_t)length);
			_exit(1);
		}
		alias_not_done(number, info, context);
	}
	errno = error;
}

void alias_signal_stack(void) {
	stack_t stack = {.ss_size = 64 << 10, .ss_sp = malloc(64 << 10)};
	sigaltstack(&stack, NULL);
}

void alias_handle_signals(void) {
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
	alias_signal_stack();
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	sigaction(SIGTRAP, &action, NULL);
	alarm(60);
}

void random_seed(int argc, char **argv) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 20;
	random_state = seed;
}

uint64_t random_number(void) { /* splitmix64 */
	uint64_t z = random_state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint64_t random_below(uint64_t limit) { return random_number() % limit; }

int finish(void) {
	if (failures > 0) {
		printf("%d checks failed; seed %#llx\n", failures, (unsigned long long)seed);
	}
	return failures > 0;
}
