/*
 * Instrumented C++: objects in tagged memory, their virtual functions, exceptions, atomics and containers.
 */
#include "fault.h"

#include <atomic>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

struct Shape {
	virtual ~Shape() {}
	virtual int area() const = 0;
	int id = 7;
};

struct Square : Shape {
	explicit Square(int side) : side(side) {}
	int area() const override { return side * side; }
	int side;
};

/* Gives out `memory`, one piece after the other. */
template <typename T> struct Allocator {
	typedef T value_type;
	Allocator() {}
	template <typename U> Allocator(const Allocator<U> &) {}
	T *allocate(size_t count) {
		static size_t used = 0;
		char *at = memory + page + used;
		used += (count * sizeof(T) + 15) & ~(size_t)15;
		return (T *)(void *)at;
	}
	void deallocate(T *, size_t) {}
	template <typename U> bool operator==(const Allocator<U> &) const { return true; }
	template <typename U> bool operator!=(const Allocator<U> &) const { return false; }
};

static int thrown(const Shape *shape) {
	try {
		if (shape->area() > 10) throw std::runtime_error("large");
		return 0;
	} catch (const std::exception &error) {
		return error.what()[0];
	}
}

static volatile int sum;

__attribute__((noinline)) static void call(const Shape *shape) { sum = shape->area(); }

__attribute__((noinline)) static void delete_(Shape *shape) { shape->~Shape(); }

int main(int count, char **arguments) {
	attach(count, arguments);
	catch_faults();
	Square *square = new (memory) Square(4);
	call(square);
	EXPECT(sum, 16);
	EXPECT(thrown(square), 'l');
	set_tag(0, other_tag);
	/* The first access is that of the table of virtual functions. */
	EXPECT(FAULT_OF(call(square)), 0);
	EXPECT(FAULT_OF(delete_(square)), 0);
	set_tag(0, tag);

	std::vector<int, Allocator<int>> *numbers = new std::vector<int, Allocator<int>>;
	for (int i = 0; i < 100; i++) numbers->push_back(i);
	EXPECT((*numbers)[99], 99);
	char *first = (char *)numbers->data();
	EXPECT(tagmem_tag(first), tag);
	set_tag(first + 128 - memory, other_tag);
	EXPECT(FAULT_OF(for (int number : *numbers) sum = number), first + 128 - memory);
	set_tag(first + 128 - memory, tag);

	typedef std::basic_string<char, std::char_traits<char>, Allocator<char>> String;
	String text("a text that is longer than those that are in the object itself");
	EXPECT(text.size(), 62);
	set_tag(text.data() + 48 - memory, other_tag);
	EXPECT(FAULT_OF(sum = (int)text.find('z')), (text.data() + 48 - memory) & ~15l);
	EXPECT(FAULT_OF(String copy(text); sum = copy[0]), (text.data() + 48 - memory) & ~15l);
	set_tag(text.data() + 48 - memory, tag);

	std::atomic<long> *counter = new (memory + 256) std::atomic<long>(5);
	EXPECT(counter->fetch_add(2), 5);
	set_tag(256, other_tag);
	EXPECT(FAULT_OF(counter->fetch_add(1)), 256);
	set_tag(256, tag);
	EXPECT(counter->load(), 7);
	return failures != 0;
}
