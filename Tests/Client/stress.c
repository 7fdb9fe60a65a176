/// `stress`: the parent starts the workers, watches them, and verifies everything once more at the end.
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/// How long a worker may be at one operation.
static const double patience = 20;

static const char *const mode_names[] = {"none", "sync", "async", "asymm"};

// MARK: Options

/// The physical memory map that a `phys` directory has by default.
enum { data_base = 0x40000000 };
static const off_t tag_storage_base = 0x80000000;

static struct options parse_options(int count, char **arguments) {
    if (count < 5)
        usage();
    struct options options = {
        .directory = arguments[0],
        .base = parse_offset(arguments[1], page_size),
        .pages = (unsigned)parse_number(arguments[2]),
        .seconds = (double)parse_number(arguments[3]),
        .seed = parse_number(arguments[4]),
        .processes = 9,
        .threads = 3,
        .mode = mode_sync,
        .tag_memory = -1,
    };
    if (options.base >= data_base && options.base < tag_storage_base)
        options.tag_memory = tag_storage_base + (options.base - data_base) / 32;
    for (int i = 5; i < count; i++) {
        const char *value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(arguments[i], "--kill") == 0) {
            options.kill = true;
            continue;
        }
        if (strcmp(arguments[i], "--page-cache") == 0) {
            options.page_cache = true;
            continue;
        }
        if (strcmp(arguments[i], "--plain") == 0) {
            options.plain = true;
            continue;
        }
        if (strcmp(arguments[i], "--processes") == 0) {
            options.processes = (unsigned)parse_number(value);
        } else if (strcmp(arguments[i], "--threads") == 0) {
            options.threads = (unsigned)parse_number(value);
        } else if (strcmp(arguments[i], "--lose") == 0) {
            options.lose = (unsigned)parse_number(value);
        } else if (strcmp(arguments[i], "--tag-memory") == 0) {
            options.tag_memory = strcmp(value, "none") == 0 ? -1 : parse_offset(value, 1);
        } else if (strcmp(arguments[i], "--mode") == 0) {
            int mode = 0;
            while (mode < 4 && strcmp(value, mode_names[mode]) != 0)
                mode++;
            if (mode == 4)
                usage();
            options.mode = (enum mode)mode;
        } else {
            usage();
        }
        i++;
    }
    options.workers = options.processes * options.threads;
    if (options.pages < 1 || options.pages > maximum_pages || options.workers < 1
        || options.workers > maximum_workers || (options.kill && options.processes < 2))
        usage();
    return options;
}

// MARK: Workers

struct thread {
    struct shared *shared;
    unsigned index;
};

static void run_worker(struct worker *worker) {
    while (!atomic_load_explicit(&worker->shared->stop, memory_order_relaxed)) {
        unsigned dice = random_below(&worker->random, 100);
        if (dice < 10 && owns_some_page(worker))
            retag_some_page(worker);
        else if (dice < 60)
            write_some_slot(worker);
        else if (dice < 83)
            verify_some_slot(worker);
        else if (dice < 91)
            verify_page(worker);
        else if (dice < 94)
            close_some_fd(worker);
        else if (dice < 98)
            unmap(worker, worker->mappings[random_below(&worker->random, maximum_mappings)].address);
        else
            fork_child(worker);
    }
}

static void *worker_thread(void *argument) {
    struct thread *thread = argument;
    struct worker worker;
    open_worker(&worker, thread->shared, thread->index);
    run_worker(&worker);
    close_worker(&worker);
    atomic_store(&worker.status->task, 0);
    return NULL;
}

static void run_process(struct shared *shared, unsigned process) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    unsigned threads = shared->options.threads;
    pthread_t handles[maximum_workers];
    struct thread arguments[maximum_workers];
    for (unsigned i = 0; i < threads; i++) {
        arguments[i] = (struct thread){shared, process * threads + i};
        if (pthread_create(&handles[i], NULL, worker_thread, &arguments[i]) != 0)
            fail("pthread_create");
    }
    for (unsigned i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    _exit(0);
}

// MARK: The parent

static void kill_all(const pid_t *processes, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (processes[i] > 0)
            kill(processes[i], SIGKILL);
}

/// Ends everything without waiting for long: a process may be stuck where not even SIGKILL ends it.
static _Noreturn void give_up(const pid_t *processes, unsigned count, int status) {
    fflush(stdout);
    kill_all(processes, count);
    for (int i = 0; i < 100 && (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD); i++)
        sleep_seconds(status == status_hang ? 0.001 : 0.02);
    _exit(status);
}

/// Exits if a worker has made no progress for too long.
static void watch(const struct shared *shared, const pid_t *processes, double now) {
    static uint64_t beats[maximum_workers];
    static double since[maximum_workers];
    const struct options *options = &shared->options;
    for (unsigned i = 0; i < options->workers; i++) {
        const struct status *status = &shared->status[i];
        uint64_t current = atomic_load(&status->beats);
        if (since[i] == 0 || current != beats[i]) {
            beats[i] = current;
            since[i] = now;
        }
        int task = atomic_load(&status->task);
        if (task == 0 || processes[i / options->threads] == 0 || now - since[i] < patience)
            continue;
        printf("hang: worker %u in %s on %s (page %d)\n", i, kind_name(atomic_load(&status->kind)),
               alias_name(atomic_load(&status->alias)), atomic_load(&status->page));
        print_wait(atomic_load(&status->process), task);
        int child = atomic_load(&status->child);
        if (child != 0)
            print_wait(child, child);
        give_up(processes, options->processes, status_hang);
    }
}

/// Waits until all processes have ended, and all children that they left.
static void supervise(struct shared *shared, pid_t *processes) {
    const struct options *options = &shared->options;
    double start = seconds_now();
    unsigned victim = options->processes - 1;
    bool killed = false;
    for (;;) {
        int status;
        pid_t ended = waitpid(-1, &status, WNOHANG);
        if (ended < 0 && errno == ECHILD)
            return;
        double now = seconds_now();
        if (ended == 0) {
            watch(shared, processes, now);
            if (options->kill && !killed && now - start >= options->seconds / 2) {
                killed = true;
                kill(processes[victim], SIGKILL);
            }
            if (now - start >= options->seconds)
                atomic_store(&shared->stop, true);
            sleep_seconds(0.01);
            continue;
        }
        for (unsigned i = 0; i < options->processes; i++) {
            if (processes[i] != ended)
                continue;
            processes[i] = 0;
            if (killed && i == victim && WIFSIGNALED(status))
                continue;
            if (status != 0) {
                if (WIFSIGNALED(status))
                    printf("FAIL: process %u was killed by SIG%s\n", i, sigabbrev_np(WTERMSIG(status)));
                atomic_store(&shared->stop, true);
                give_up(processes, options->processes, status_failed);
            }
        }
    }
}

// MARK: Before and after

static void prepare(struct worker *worker) {
    static const uint8_t zeros[page_size];
    for (unsigned page = 0; page < worker->options->pages; page++) {
        write_exactly(alias_fd(worker, alias_mem), zeros, page_size, page_offset(worker, page), "mem");
        set_first_tags(worker, page);
    }
}

/// All slots of all workers through every way that reaches the page, also those of workers that were killed.
static void verify_all(struct worker *worker) {
    const struct options *options = worker->options;
    for (unsigned page = 0; page < options->pages; page++) {
        unsigned tag = atomic_load(&worker->shared->hint[page]);
        expect_all_tags(worker, page);
        int aliases[] = {alias_mem, (int)tag, alias_checked};
        for (int i = 0; i < 3; i++)
            for (int mapped = 0; mapped < (aliases[i] == alias_checked ? 1 : 2); mapped++) {
                uint8_t bytes[page_size];
                off_t offset = alias_offset(worker, aliases[i], page, 0, tag);
                begin(worker, read_page, aliases[i], page);
                if (!mapped)
                    read_exactly(alias_fd(worker, aliases[i]), bytes, page_size, offset, alias_name(aliases[i]));
                else if (!guarded_load(bytes, get_mapping(worker, aliases[i], offset, page_size, false), page_size,
                                       NULL, NULL))
                    fail("at the end: SIGBUS in page %u through %s", page, alias_name(aliases[i]));
                for (unsigned granule = 0; granule < granules_per_page; granule++)
                    compare_slot(worker, page, granule, -1, aliases[i], bytes + granule * granule_size);
            }
    }
}

int stress_main(int count, char **arguments) {
    struct options options = parse_options(count, arguments);
    alarm((unsigned)options.seconds + 60);
    step("stress, seed %llu", (unsigned long long)options.seed);
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail_errno("mmap");
    shared->options = options;
    printf("seed=%llu processes=%u threads=%u pages=%u seconds=%.0f mode=%s%s\n", (unsigned long long)options.seed,
           options.processes, options.threads, options.pages, options.seconds, mode_names[options.mode],
           options.kill ? " kill" : "");
    fflush(stdout);
    catch_faults();
    prctl(PR_SET_CHILD_SUBREAPER, 1);

    int mode_fd = -1;
    char mode[32] = {0};
    ssize_t mode_length = 0;
    if (!options.plain) {
        mode_fd = open_file(options.directory, "mode", O_RDWR);
        if ((mode_length = pread(mode_fd, mode, sizeof mode - 1, 0)) <= 0)
            fail_errno("read of mode");
        write_exactly(mode_fd, mode_names[options.mode], strlen(mode_names[options.mode]), 0, "mode");
    }
    struct worker worker;
    open_worker(&worker, shared, maximum_workers);
    prepare(&worker);

    pid_t processes[maximum_workers];
    double start = seconds_now();
    for (unsigned i = 0; i < options.processes; i++) {
        processes[i] = fork();
        if (processes[i] < 0)
            fail_errno("fork");
        if (processes[i] == 0)
            run_process(shared, i);
    }
    supervise(shared, processes);
    double elapsed = seconds_now() - start;

    step("stress, seed %llu, verification at the end", (unsigned long long)options.seed);
    verify_all(&worker);
    close_worker(&worker);
    if (mode_fd >= 0)
        write_exactly(mode_fd, mode, (size_t)mode_length, 0, "mode");
    bool enough = report(shared);
    printf("%s seed=%llu elapsed=%.1f\n", enough ? "ok stress" : "FAIL: the run did not test what it should,",
           (unsigned long long)options.seed, elapsed);
    return enough ? 0 : status_failed;
}
