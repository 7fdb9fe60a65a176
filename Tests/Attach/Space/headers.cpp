// All public headers in a C++ program, which links without any other library than libtagmem and the C library.
#include <tagmem.h>

#include <tagmem/arm_acle.h>
#include <tagmem/ioctl.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

static int failures;

static void expect(bool condition, const char *what) {
	if (condition) return;
	std::printf("not so: %s\n", what);
	failures++;
}
#define EXPECT(condition) expect((condition), #condition)

struct Node {
	Node *next;
	char bytes[24];
};

int main(int count, char **arguments) {
	EXPECT(tagmem_attach("/nowhere", 0) == nullptr && errno == ENOENT);
	EXPECT(TAGMEM_GET_TAGS != 0 && sizeof(struct tagmem_access) == 96);
	int local[4] = {1, 2, 3, 4};
	int *same = __arm_mte_create_random_tag(local, 1);
	EXPECT(same == local);
	if (count < 2) return failures != 0;

	void *base = tagmem_attach(arguments[1], 0);
	if (!base || tagmem_resize(base, 4096) != 0) {
		std::printf("%s: %s\n", arguments[1], std::strerror(errno));
		return 1;
	}
	Node *node = __arm_mte_create_random_tag(static_cast<Node *>(base), 1);
	const Node *constant = node;
	EXPECT(tagmem_tag(node) != 0);
	__arm_mte_set_tag(node);
	EXPECT(tagmem_get_tag(base) == int(tagmem_tag(node)));
	EXPECT(__arm_mte_get_tag(static_cast<Node *>(base)) == node);
	EXPECT(__arm_mte_get_tag(constant) == constant);
	EXPECT(__arm_mte_exclude_tag(constant, 0) == uint64_t(1) << tagmem_tag(node));
	EXPECT(__arm_mte_ptrdiff(node + 1, base) == sizeof(Node));
	EXPECT(tagmem_tag(__arm_mte_increment_tag(node, 1)) == ((tagmem_tag(node) + 1) & 15));
	EXPECT(tagmem_set_tags(node, 32) == 0 && tagmem_first_mismatch(node, 32) == nullptr);
	EXPECT(tagmem_detach(base) == 0);
	return failures != 0;
}
