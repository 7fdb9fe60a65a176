/*
 * Files that are mapped shared with PROT_MTE. Only those of tmpfs can be, as on Linux (memfd_create, shm_open). Their memory has to
 * be an object's, so while any of it is mapped the file's contents are there, for all mappings of this process and of
 * its children; msync and the end of the last mapping write them to the file.
 */
#include "Files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>

static struct adopted {
	dev_t device;
	ino_t number; /* 0: free */
	int file; /* a descriptor of it */
	struct tagmem_shared_blocks blocks;
	uint64_t pages; /* that are mapped, here */
} files[64];
enum { file_max = sizeof files / sizeof *files, tmpfs_magic = 0x01021994, buffer_size = 1 << 16 };

bool tagmem_is_of_tmpfs(int fd) {
	struct statfs status;
	return tagmem_call(SYS_fstatfs, fd, &status) == 0 && status.f_type == tmpfs_magic;
}

static struct adopted *find(int fd) {
	struct stat status;
	bool is_any = false;
	for (size_t i = 0; i < file_max; i++)
		is_any |= files[i].number != 0;
	if (!is_any || tagmem_call(SYS_fstat, fd, &status) != 0)
		return NULL;
	for (size_t i = 0; i < file_max; i++) {
		if (files[i].number == status.st_ino && files[i].device == status.st_dev)
			return &files[i];
	}
	return NULL;
}

bool tagmem_is_file_adopted(int fd) { return find(fd) != NULL; }

/* MARK: Contents */

/* From one file's offset to the other's: how many bytes, or a negative errno. */
static long copy(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length) {
	void *buffer = tagmem_kernel_map(buffer_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (buffer == MAP_FAILED)
		return -ENOMEM;
	uint64_t done = 0;
	long result = 0;
	while (done < length) {
		uint64_t wanted = length - done < buffer_size ? length - done : buffer_size;
		result = tagmem_call(SYS_pread64, from, buffer, wanted, from_offset + done);
		if (result <= 0)
			break;
		result = tagmem_call(SYS_pwrite64, to, buffer, result, to_offset + done);
		if (result <= 0)
			break;
		done += (uint64_t)result;
	}
	tagmem_call(SYS_munmap, buffer, buffer_size);
	return result < 0 ? result : (long)done;
}

static void write_back(const struct adopted *file) {
	struct stat status;
	if (tagmem_call(SYS_fstat, file->file, &status) != 0)
		return;
	uint64_t length = file->blocks.count * tagmem_block, size = (uint64_t)status.st_size;
	copy(file->blocks.object->mem, file->blocks.first * tagmem_block, file->file, 0, size < length ? size : length);
}

static int adopt(int fd, uint64_t end, struct adopted **adopted) {
	struct stat status;
	long error = tagmem_call(SYS_fstat, fd, &status);
	struct adopted *file = files;
	while (file < files + file_max && file->number != 0)
		file++;
	if (error < 0)
		return (int)-error;
	if (file == files + file_max)
		return ENOMEM;
	uint64_t size = (uint64_t)status.st_size > end ? (uint64_t)status.st_size : end;
	if (size > TAGMEM_OBJECT_MAX)
		return ENOMEM;
	struct adopted new = {.device = status.st_dev, .number = status.st_ino};
	error = tagmem_take_shared((size + tagmem_block - 1) / tagmem_block, &new.blocks);
	if (error)
		return (int)error;
	new.file = (int)tagmem_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 256);
	error = new.file < 0 ? new.file
			     : copy(fd, 0, new.blocks.object->mem, new.blocks.first * tagmem_block, (uint64_t)status.st_size);
	if (error < 0) {
		tagmem_call(SYS_close, new.file);
		return (int)-error;
	}
	*file = new;
	*adopted = file;
	return 0;
}

static void forget(struct adopted *file) {
	write_back(file);
	tagmem_call(SYS_close, file->file);
	tagmem_give_shared(&file->blocks);
	file->number = 0;
}

bool tagmem_is_adopted(const struct tagmem_object *object, uint64_t offset) {
	for (const struct adopted *file = files; file < files + file_max; file++) {
		uint64_t first = file->blocks.first * tagmem_block, length = file->blocks.count * tagmem_block;
		if (file->number != 0 && file->blocks.object == object && offset - first < length)
			return true;
	}
	return false;
}

/* MARK: Mappings */

int tagmem_adopt_file(int fd, uint64_t start, uint64_t end, uint64_t offset) {
	struct adopted *file = find(fd);
	int error = file == NULL ? adopt(fd, offset + (end - start), &file) : 0;
	if (!error && offset + (end - start) > file->blocks.count * tagmem_block)
		error = ENOMEM;
	if (!error) {
		struct tagmem_shared_blocks part = file->blocks;
		part.first += offset / tagmem_block;
		error = tagmem_back_with(start, end, &part);
	}
	if (!error)
		tagmem_count_adopted(tagmem_backing_of(start, end), 1);
	else if (file != NULL && file->pages == 0 && file->number != 0)
		forget(file);
	return error;
}

void tagmem_count_adopted(struct tagmem_backing backing, int sign) {
	for (struct adopted *file = files; file < files + file_max; file++) {
		uint64_t first = file->blocks.first * tagmem_block, length = file->blocks.count * tagmem_block;
		if (file->number == 0 || file->blocks.object != backing.object || backing.offset - first >= length)
			continue;
		file->pages += (uint64_t)((int64_t)(backing.length / tagmem_page) * sign);
		if (file->pages == 0)
			forget(file);
	}
}

void tagmem_write_adopted(void) {
	for (size_t i = 0; i < file_max; i++) {
		if (files[i].number != 0)
			write_back(&files[i]);
	}
}

int tagmem_copy_adopted(int fd, uint64_t start, uint64_t end, uint64_t offset) {
	const struct adopted *file = find(fd);
	struct tagmem_backing to = tagmem_backing_of(start, end);
	uint64_t from = file->blocks.first * tagmem_block + offset;
	for (; start < end; start += to.length, from += to.length) {
		to = tagmem_backing_of(start, end);
		long done = copy(file->blocks.object->mem, from, to.object->mem, to.offset, to.length);
		if (done >= 0)
			done = copy(file->blocks.object->tags, from / 32, to.object->tags, to.offset / 32, to.length / 32);
		if (done < 0)
			return (int)-done;
	}
	return 0;
}
