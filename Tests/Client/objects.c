/// `objects`: the parent starts the workers, watches them, verifies everything once more at the end, and sees that all
/// memory comes back.
#include "objects.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/// How long a worker may be at one operation.
static const double patience = 30;

static struct object_options parse_options(int count, char **arguments) {
    if (count < 3)
        usage();
    struct object_options options = {
        .mountpoint = arguments[0],
        .seconds = (double)parse_number(arguments[1]),
        .seed = parse_number(arguments[2]),
        .objects = 6,
        .processes = 6,
        .threads = 3,
    };
    for (int i = 3; i < count; i++) {
        const char *value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(arguments[i], "--kill") == 0) {
            options.kill = true;
            continue;
        }
        if (strcmp(arguments[i], "--objects") == 0)
            options.objects = (unsigned)parse_number(value);
        else if (strcmp(arguments[i], "--processes") == 0)
            options.processes = (unsigned)parse_number(value);
        else if (strcmp(arguments[i], "--threads") == 0)
            options.threads = (unsigned)parse_number(value);
        else if (strcmp(arguments[i], "--lose") == 0)
            options.lose = (unsigned)parse_number(value);
        else
            usage();
        i++;
    }
    options.workers = options.processes * options.threads;
    if (options.objects < 1 || options.objects > maximum_objects || options.workers < 1
        || options.workers > maximum_object_workers || (options.kill && options.processes < 2))
        usage();
    return options;
}

// MARK: Workers

static void run_object_worker(struct object_worker *worker) {
    while (!atomic_load_explicit(&worker->shared->stop, memory_order_relaxed)) {
        unsigned dice = below(worker, 200);
        unsigned object = worker->index;
        if (dice < 60 && object < worker->options->objects)
            change_object(worker, object);
        else if (dice < 100)
            write_base(worker);
        else if (dice < 135)
            read_base(worker);
        else if (dice < 170)
            read_rest(worker);
        else if (dice < 178)
            close_some_object_fd(worker);
        else if (dice < 184)
            unmap_some_object(worker);
        else if (dice < 188)
            live_shortly(worker);
        else if (dice < 189)
            compact_device(worker);
        else if (dice < 190)
            set_aside(worker);
        else if (dice < 196)
            look_at_physical(worker);
        else
            read_statistics(worker);
    }
}

struct object_thread {
    struct object_shared *shared;
    unsigned index;
};

static void *object_thread(void *argument) {
    struct object_thread *thread = argument;
    struct object_worker worker;
    open_object_worker(&worker, thread->shared, thread->index);
    run_object_worker(&worker);
    close_object_worker(&worker);
    atomic_store(&worker.status->task, 0);
    return NULL;
}

static void run_process(struct object_shared *shared, unsigned process) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const struct object_options *options = &shared->options;
    pthread_t handles[maximum_object_workers];
    struct object_thread arguments[maximum_object_workers];
    for (unsigned i = 0; i < options->threads; i++) {
        // Neighbours in number are in different processes: so are the owners.
        arguments[i] = (struct object_thread){shared, process + i * options->processes};
        if (pthread_create(&handles[i], NULL, object_thread, &arguments[i]) != 0)
            fail("pthread_create");
    }
    for (unsigned i = 0; i < options->threads; i++)
        pthread_join(handles[i], NULL);
    _exit(0);
}

// MARK: The parent

/// Ends everything without waiting for long: a process may be stuck where not even SIGKILL ends it.
static _Noreturn void give_up(const pid_t *processes, unsigned count, int status) {
    fflush(stdout);
    for (unsigned i = 0; i < count; i++)
        if (processes[i] > 0)
            kill(processes[i], SIGKILL);
    for (int i = 0; i < 100 && (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD); i++)
        sleep_seconds(status == status_hang ? 0.001 : 0.02);
    _exit(status);
}

static void watch(const struct object_shared *shared, const pid_t *processes, double now) {
    static uint64_t beats[maximum_object_workers];
    static double since[maximum_object_workers];
    const struct object_options *options = &shared->options;
    bool hangs = false;
    for (unsigned i = 0; i < options->workers; i++) {
        const struct object_status *status = &shared->status[i];
        uint64_t current = atomic_load(&status->beats);
        if (since[i] == 0 || current != beats[i]) {
            beats[i] = current;
            since[i] = now;
        }
        int task = atomic_load(&status->task);
        if (task == 0 || processes[i % options->processes] == 0 || now - since[i] < patience)
            continue;
        printf("hang: worker %u in %s (object %d)\n", i, object_kind_name(atomic_load(&status->kind)),
               atomic_load(&status->object));
        print_wait(atomic_load(&status->process), task);
        hangs = true;
    }
    if (hangs)
        give_up(processes, options->processes, status_hang);
}

static void supervise(struct object_shared *shared, pid_t *processes) {
    const struct object_options *options = &shared->options;
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

static void prepare(struct object_worker *worker) {
    for (unsigned object = 0; object < worker->options->objects; object++) {
        struct object_state *state = &worker->shared->objects[object];
        char path[4096];
        atomic_store(&state->tagged, object % 2 == 1);
        object_path(worker, object, object % 2 == 1, "", path);
        if (mkdir(path, 0755) != 0)
            fail_errno("mkdir %s", path);
        state->size = base_pages * page_size;
        for (unsigned page = 0; page < base_pages + maximum_rest; page++)
            state->tags_left[page] = granules_per_page;
        if (ftruncate(object_fd(worker, object, object_mem), (off_t)state->size) != 0)
            fail_errno("the size of %s", path);
    }
}

static void verify_all(struct object_worker *worker) {
    for (unsigned object = 0; object < worker->options->objects; object++) {
        struct object_state *state = &worker->shared->objects[object];
        int fd = object_fd(worker, object, object_mem);
        for (unsigned page = 0; page < base_pages; page++) {
            uint8_t bytes[page_size];
            object_begin(worker, base_read, (int)object);
            read_exactly(fd, bytes, page_size, (off_t)page * page_size, "a base");
            for (unsigned granule = 0; granule < granules_per_page; granule++)
                compare_base(worker, object, page, granule, object_mem, bytes + granule * granule_size);
        }
        if (!atomic_load(&state->unsettled))
            check_rest(worker, object);
    }
}

static void remove_all(const char *mountpoint, const char *name) {
    char path[4096], child[8192];
    snprintf(path, sizeof path, "%s/%s", mountpoint, name);
    DIR *directory = opendir(path);
    if (directory == NULL)
        fail_errno("opendir %s", path);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (rmdir(child) != 0)
            fail_errno("rmdir %s", child);
    }
    closedir(directory);
}

/// When all objects are removed, all pages are free, soon.
static void expect_all_free(const char *mountpoint) {
    step("all memory comes back");
    if (set_knob(mountpoint, "reserve_tagged", "0\n") != 0 || set_knob(mountpoint, "reserve_untagged", "0\n") != 0)
        fail("the reserves cannot be given up");
    remove_all(mountpoint, "tagged");
    remove_all(mountpoint, "untagged");
    double limit = seconds_now() + 10;
    for (;;) {
        struct amounts amounts = read_amounts(mountpoint);
        if (amounts.free == amounts.total && amounts.reserved == 0)
            return;
        if (seconds_now() > limit)
            fail("%ld of %ld pages are free, %ld tagged, %ld untagged, %ld reserved", amounts.free, amounts.total,
                 amounts.tagged, amounts.untagged, amounts.reserved);
        sleep_seconds(0.01);
    }
}

static bool report_objects(const struct object_shared *shared) {
    bool enough = true;
    printf("%-24s %10s %10s\n", "operation", "done", "refused");
    for (int kind = 0; kind < object_kind_count; kind++) {
        uint64_t done = shared->done[kind];
        printf("%-24s %10llu %10llu%s\n", object_kind_name(kind), (unsigned long long)done,
               (unsigned long long)shared->refused[kind], done == 0 ? "   too few done" : "");
        enough = enough && done > 0;
    }
    return enough;
}

int objects_main(int count, char **arguments) {
    struct object_options options = parse_options(count, arguments);
    alarm((unsigned)options.seconds + 60);
    step("objects, seed %llu", (unsigned long long)options.seed);
    struct object_shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail_errno("mmap");
    shared->options = options;
    printf("seed=%llu processes=%u threads=%u objects=%u seconds=%.0f%s\n", (unsigned long long)options.seed,
           options.processes, options.threads, options.objects, options.seconds, options.kill ? " kill" : "");
    fflush(stdout);
    catch_faults();
    static struct object_worker worker;
    open_object_worker(&worker, shared, maximum_object_workers);
    prepare(&worker);
    pid_t processes[maximum_object_workers];
    for (unsigned i = 0; i < options.processes; i++) {
        processes[i] = fork();
        if (processes[i] < 0)
            fail_errno("fork");
        if (processes[i] == 0)
            run_process(shared, i);
    }
    supervise(shared, processes);
    step("objects, seed %llu, verification at the end", (unsigned long long)options.seed);
    verify_all(&worker);
    close_object_worker(&worker);
    expect_all_free(options.mountpoint);
    bool enough = report_objects(shared);
    printf("%s seed=%llu\n", enough ? "ok objects" : "FAIL: the run did not test what it should,",
           (unsigned long long)options.seed);
    return enough ? 0 : status_failed;
}
