#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct cell *cell_of(struct worker *worker, unsigned page, unsigned granule) {
    return &worker->shared->cells[page][granule];
}

unsigned own_granule(struct worker *worker) {
    unsigned workers = worker->options->workers;
    unsigned slots = (granules_per_page - worker->index - 1) / workers + 1;
    return worker->index + workers * random_below(&worker->random, slots);
}

/// The tag to try: mostly the hint, so that most accesses are legal.
static unsigned likely_tag(struct worker *worker, unsigned page) {
    unsigned hint = atomic_load_explicit(&worker->shared->hint[page], memory_order_relaxed);
    return hint == mixed_tags || chance(worker, 6) ? random_below(&worker->random, tag_count) : hint;
}

// MARK: Comparing

static void print_hex(char *text, const uint8_t *bytes) {
    for (int i = 0; i < granule_size; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
}

/// `alias` is how it was read, `written` how it was written last, or -1 if that is longer ago.
void compare_slot(
    struct worker *worker, unsigned page, unsigned granule, int written, int alias, const uint8_t *found
) {
    struct cell *cell = cell_of(worker, page, granule);
    bool uncertain = atomic_load(&cell->uncertain);
    for (int i = 0; i < granule_size; i++)
        if (found[i] != cell->expected[i] && !(uncertain && found[i] == cell->other[i])) {
            char texts[3][2 * granule_size + 1];
            print_hex(texts[0], cell->expected);
            print_hex(texts[1], found);
            print_hex(texts[2], cell->other);
            const char *through = written < 0 ? "an earlier alias" : alias_name(written);
            fail("mismatch: worker %u (seen by process %d) page %u slot %u: written through %s, read through %s: "
                 "expected %s%s%s, found %s (byte %d)",
                 granule % worker->options->workers, (int)getpid(), page, granule, through, alias_name(alias), texts[0],
                 uncertain ? " or " : "", uncertain ? texts[2] : "", texts[1], i);
        }
    if (uncertain) {
        memcpy(cell->expected, found, granule_size);
        atomic_store(&cell->uncertain, false);
    }
}

/// An access to one granule must be done whole, or refused where that may be.
static bool accepted(struct worker *worker, ssize_t count, size_t length, int alias, unsigned page, bool store) {
    if (count == (ssize_t)length)
        return true;
    int error = errno;
    if (count >= 0)
        fail("worker %u page %u: %s through %s did %zd of %zu bytes of one granule", worker->index, page,
             store ? "a write" : "a read", alias_name(alias), count, length);
    if (error != EFAULT || alias == alias_mem || !refusable(worker->options, store, false))
        fail("worker %u page %u: %s through %s: %s", worker->index, page, store ? "a write" : "a read",
             alias_name(alias), errno_name(error));
    return false;
}

/// As `accepted`, for a mapping: a SIGBUS must be where the access was.
static void expect_refusable(
    struct worker *worker, struct fault fault, const uint8_t *at, int alias, unsigned page, bool store
) {
    if (alias == alias_mem || !refusable(worker->options, store, true))
        fail("worker %u page %u: SIGBUS in a %s through a mapping of %s", worker->index, page, store ? "store" : "load",
             alias_name(alias));
    if (fault.code != BUS_ADRERR || fault.address != (uintptr_t)at)
        fail("worker %u page %u: SIGBUS through %s with si_code %d, si_addr %+lld bytes off", worker->index, page,
             alias_name(alias), fault.code, (long long)(fault.address - (uintptr_t)at));
}

// MARK: Reading

bool read_slot(
    struct worker *worker, unsigned page, unsigned granule, int alias, unsigned tag, uint8_t *found
) {
    enum kind kind = alias == alias_mem ? read_mem : alias == alias_checked ? read_checked : read_view;
    begin(worker, kind, alias, page);
    // A descriptor that is only read from, now and then.
    int fd = alias_fd(worker, alias);
    bool fresh = chance(worker, 5);
    if (fresh)
        fd = open_file(worker->options->directory, alias_name(alias), O_RDONLY);
    ssize_t count = pread(fd, found, granule_size, alias_offset(worker, alias, page, granule, tag));
    bool done = accepted(worker, count, granule_size, alias, page, false);
    if (fresh)
        close_fd(worker, alias, fd);
    (done ? count_done : count_refused)(worker, kind);
    return done;
}

bool load_slot(struct worker *worker, unsigned page, unsigned granule, int alias, uint8_t *found) {
    enum kind kind = alias == alias_mem ? load_mem : load_view;
    off_t offset = alias_offset(worker, alias, page, granule, 0);
    const uint8_t *map = get_mapping(worker, alias, offset, granule_size, false);
    begin(worker, kind, alias, page);
    struct fault fault;
    size_t done;
    if (guarded_load(found, map, granule_size, &done, &fault)) {
        count_done(worker, kind);
        return true;
    }
    expect_refusable(worker, fault, map + done, alias, page, false);
    count_refused(worker, kind);
    return false;
}

void verify_slot(struct worker *worker, unsigned page, unsigned granule, int written) {
    uint8_t found[granule_size] __attribute__((aligned(granule_size)));
    for (int attempt = 0;; attempt++) {
        unsigned way = attempt < 4 ? random_below(&worker->random, 8) : 0;
        bool view = way == 2 || way == 3 || way == 4 || way == 5;
        int alias = view ? (int)likely_tag(worker, page) : way == 6 ? alias_checked : alias_mem;
        if (alias == written && attempt < 4)
            continue;
        bool load = way == 1 || way == 4 || way == 5;
        if (load ? load_slot(worker, page, granule, alias, found)
                 : read_slot(worker, page, granule, alias, likely_tag(worker, page), found)) {
            compare_slot(worker, page, granule, written, alias, found);
            return;
        }
    }
}

void verify_some_slot(struct worker *worker) {
    verify_slot(worker, random_below(&worker->random, worker->options->pages), own_granule(worker), -1);
}

/// One read of several pages: what it counts must be right in all of the worker's slots.
void verify_page(struct worker *worker) {
    uint8_t bytes[4 * page_size];
    const struct options *options = worker->options;
    unsigned first = random_below(&worker->random, options->pages);
    unsigned pages = 1 + random_below(&worker->random, options->pages - first < 4 ? options->pages - first : 4);
    int alias = chance(worker, 50) ? alias_mem : chance(worker, 50) ? alias_checked : (int)likely_tag(worker, first);
    begin(worker, read_page, alias, first);
    unsigned tag = likely_tag(worker, first);
    size_t length = (size_t)pages * page_size;
    ssize_t count = pread(alias_fd(worker, alias), bytes, length, alias_offset(worker, alias, first, 0, tag));
    if (count != (ssize_t)length) {
        if (alias == alias_mem || !refusable(options, false, false) || (count < 0 && errno != EFAULT) || count == 0)
            fail("worker %u page %u: a read of %zu bytes through %s did %zd (%s)", worker->index, first, length,
                 alias_name(alias), count, count < 0 ? errno_name(errno) : "no error");
        if (count % granule_size != 0 && count > 0)
            fail("worker %u page %u: a read through %s stopped within a granule, after %zd bytes", worker->index, first,
                 alias_name(alias), count);
    }
    if (count < 0) {
        count_refused(worker, read_page);
        return;
    }
    for (size_t at = 0; at < (size_t)count; at += granule_size) {
        unsigned granule = at / granule_size % granules_per_page;
        if (granule % options->workers == worker->index)
            compare_slot(worker, first + at / page_size, granule, -1, alias, bytes + at);
    }
    count_done(worker, read_page);
}

// MARK: Writing

/// The part of the granule that a write changes, and what it holds afterwards.
struct change {
    unsigned start, length;
    uint8_t bytes[granule_size] __attribute__((aligned(granule_size)));
};

static struct change next_change(struct worker *worker, unsigned page, unsigned granule) {
    struct change change = {.start = 0, .length = granule_size};
    if (chance(worker, 25)) {
        change.start = random_below(&worker->random, granule_size);
        change.length = 1 + random_below(&worker->random, granule_size - change.start);
    }
    // Readable in a failure: who, where, which of their writes, and twice so that a torn one shows.
    uint32_t sequence = ++worker->sequence;
    uint8_t word[8] = {(uint8_t)(worker->index + 1), (uint8_t)page, (uint8_t)granule, 0xaa};
    memcpy(word + 4, &sequence, sizeof sequence);
    memcpy(change.bytes, word, sizeof word);
    memcpy(change.bytes + 8, word, sizeof word);
    return change;
}

static bool lost_on_purpose(struct worker *worker) {
    unsigned lose = worker->options->lose;
    return lose != 0 && atomic_fetch_add(&worker->shared->writes, 1) % lose == lose - 1;
}

static void begin_change(struct cell *cell, const struct change *change) {
    memcpy(cell->other, cell->expected, granule_size);
    memcpy(cell->other + change->start, change->bytes + change->start, change->length);
    atomic_store(&cell->uncertain, true);
}

static void end_change(struct cell *cell, const struct change *change, size_t done) {
    memcpy(cell->expected + change->start, change->bytes + change->start, done);
    atomic_store(&cell->uncertain, false);
}

bool write_slot(struct worker *worker, unsigned page, unsigned granule, int alias, unsigned tag) {
    enum kind kind = alias == alias_mem ? write_mem : alias == alias_checked ? write_checked : write_view;
    begin(worker, kind, alias, page);
    struct cell *cell = cell_of(worker, page, granule);
    struct change change = next_change(worker, page, granule);
    off_t offset = alias_offset(worker, alias, page, granule, tag) + change.start;
    int fd = alias_fd(worker, alias);
    begin_change(cell, &change);
    ssize_t count = (ssize_t)change.length;
    if (!lost_on_purpose(worker))
        count = pwrite(fd, change.bytes + change.start, change.length, offset);
    bool done = accepted(worker, count, change.length, alias, page, true);
    end_change(cell, &change, done ? change.length : 0);
    (done ? count_done : count_refused)(worker, kind);
    return done;
}

/// After a store: write it back, leave it to whoever reads next to recall it, or unmap it.
enum { then_sync, then_recall, then_unmap };

static void store_slot(struct worker *worker, unsigned page, unsigned granule, int alias, int then) {
    enum kind kind = (alias == alias_mem ? store_mem_sync : store_view_sync) + then;
    struct cell *cell = cell_of(worker, page, granule);
    struct change change = next_change(worker, page, granule);
    off_t offset = alias_offset(worker, alias, page, granule, 0);
    uint8_t *map = get_mapping(worker, alias, offset, granule_size, true);
    begin(worker, kind, alias, page);
    begin_change(cell, &change);
    size_t done = change.length;
    bool whole = true;
    struct fault fault;
    if (!lost_on_purpose(worker))
        whole = guarded_store(map + change.start, change.bytes + change.start, change.length, &done, &fault);
    // Even if the page went away half way: the stores before that retired.
    end_change(cell, &change, done);
    if (!whole) {
        expect_refusable(worker, fault, map + change.start + done, alias, page, true);
        count_refused(worker, kind);
    } else {
        count_done(worker, kind);
    }
    if (then == then_sync)
        sync_mapping(worker, alias, map, granule_size);
    else if (then == then_unmap)
        unmap(worker, map);
}

void write_some_slot(struct worker *worker) {
    unsigned page = random_below(&worker->random, worker->options->pages), granule = own_granule(worker);
    unsigned tag = likely_tag(worker, page);
    int view = (int)tag, alias;
    switch (random_below(&worker->random, 8)) {
    case 0:
        write_slot(worker, page, granule, alias = alias_mem, tag);
        break;
    case 1:
    case 2:
        write_slot(worker, page, granule, alias = view, tag);
        break;
    case 3:
        write_slot(worker, page, granule, alias = alias_checked, tag);
        break;
    default: {
        alias = chance(worker, 35) ? alias_mem : view;
        unsigned dice = random_below(&worker->random, 10);
        store_slot(worker, page, granule, alias, dice < 4 ? then_sync : dice < 9 ? then_recall : then_unmap);
    }
    }
    verify_slot(worker, page, granule, alias);
}

// MARK: Children

/// In the child of a process with threads: only system calls, no allocation.
static void run_child(struct worker *worker, bool wait) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != atomic_load(&worker->status->process))
        _exit(0);
    unsigned stores = 1 + random_below(&worker->random, 5);
    for (unsigned i = 0; i < stores; i++) {
        unsigned page = random_below(&worker->random, worker->options->pages);
        int alias = chance(worker, 50) ? alias_mem : (int)likely_tag(worker, page);
        store_slot(worker, page, own_granule(worker), alias, wait || chance(worker, 50) ? then_recall : then_sync);
    }
    atomic_store(&worker->status->child_ready, true);
    if (wait)
        for (;;)
            pause();
    _exit(0);
}

/// Finds out which bytes a killed child's last store left, before the slot is written again.
static void resolve(struct worker *worker) {
    for (unsigned page = 0; page < worker->options->pages; page++)
        for (unsigned granule = worker->index; granule < granules_per_page; granule += worker->options->workers)
            if (atomic_load(&cell_of(worker, page, granule)->uncertain))
                verify_slot(worker, page, granule, -1);
    for (int i = 0; i < 3; i++)
        verify_some_slot(worker);
}

void fork_child(struct worker *worker) {
    enum { exits, killed_after, killed_anywhere } end = random_below(&worker->random, worker->options->page_cache ? 1 : 3);
    enum kind kind = end == exits ? fork_exit : fork_kill;
    begin(worker, kind, -1, 0);
    atomic_store(&worker->status->child_ready, false);
    // The child's writes are numbered apart from the worker's later ones.
    worker->sequence += 16;
    pid_t child = fork();
    if (child < 0)
        fail_errno("worker %u: fork", worker->index);
    if (child == 0) {
        worker->sequence -= 16;
        run_child(worker, end == killed_after);
    }
    atomic_store(&worker->status->child, child);
    if (end == killed_anywhere)
        sleep_seconds(random_below(&worker->random, 2000) * 1e-6);
    siginfo_t ended = {.si_pid = 0};
    while (end == killed_after && !atomic_load(&worker->status->child_ready) && ended.si_pid == 0) {
        sleep_seconds(0.0001);
        waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT);
    }
    if (end != exits)
        kill(child, SIGKILL);
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            fail_errno("worker %u: waitpid", worker->index);
    atomic_store(&worker->status->child, 0);
    bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    bool had_exited = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!(end != exits && was_killed) && !(end != killed_after && had_exited))
        fail("worker %u: a child ended with status %#x", worker->index, status);
    count_done(worker, kind);
    resolve(worker);
}
