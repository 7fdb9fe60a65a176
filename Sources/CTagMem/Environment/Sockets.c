/* send, recv and kin. A datagram of which the kernel refuses a part is refused as a whole, as on Linux. */
#include "Buffers.h"

#include <sys/socket.h>

static bool is_of_datagrams(int fd) {
	int type = 0;
	socklen_t size = sizeof type;
	long error = tagmem_call(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &size);
	return error == 0 && type != SOCK_STREAM;
}

static size_t buffer_of(int fd, const void *buffer, size_t length, bool is_store, void **plain) {
	size_t reach = tagmem_buffer(buffer, length, is_store, plain);
	if (reach < length && is_of_datagrams(fd)) {
		*plain = tagmem_refused;
		return length;
	}
	return reach;
}

/* An address and the place of its length, for the kernel to fill in. */
static struct sockaddr *address_of(struct sockaddr *address, socklen_t **size) {
	socklen_t *plain = TAGMEM_OUT(*size);
	*size = plain;
	if (address == NULL || plain == NULL || plain == tagmem_refused)
		return address;
	return tagmem_struct(address, *plain, true);
}

TAGMEM_EXPORT ssize_t sendto(int fd, const void *buffer, size_t length, int flags, const struct sockaddr *to,
			     socklen_t size) {
	tagmem_deliver_deferred();
	void *plain;
	length = buffer_of(fd, buffer, length, false, &plain);
	to = tagmem_struct(to, size, false);
	return tagmem_result(tagmem_call_cancellable(SYS_sendto, fd, plain, length, flags, to, size));
}

TAGMEM_EXPORT ssize_t send(int fd, const void *buffer, size_t length, int flags) {
	return sendto(fd, buffer, length, flags, NULL, 0);
}

TAGMEM_EXPORT ssize_t recvfrom(int fd, void *buffer, size_t length, int flags, struct sockaddr *from,
			       socklen_t *size) {
	tagmem_deliver_deferred();
	void *plain;
	length = buffer_of(fd, buffer, length, true, &plain);
	from = address_of(from, &size);
	return tagmem_result(tagmem_call_cancellable(SYS_recvfrom, fd, plain, length, flags, from, size));
}

TAGMEM_EXPORT ssize_t recv(int fd, void *buffer, size_t length, int flags) {
	return recvfrom(fd, buffer, length, flags, NULL, NULL);
}

/* MARK: Messages */

static size_t length_of(const struct iovec *vector, int count) {
	size_t length = 0;
	for (int i = 0; i < count; i++)
		length += vector[i].iov_len;
	return length;
}

static void vector_of(int fd, struct msghdr *plain, bool is_store, struct iovec *vector) {
	size_t count = plain->msg_iovlen, length = 0;
	const struct iovec *own = tagmem_struct(plain->msg_iov, count * sizeof *own, false);
	if (own != tagmem_refused)
		length = length_of(own, (int)count);
	plain->msg_iovlen = (size_t)tagmem_vector(plain->msg_iov, (int)count, is_store, vector);
	plain->msg_iov = vector;
	if (length_of(vector, (int)plain->msg_iovlen) < length && is_of_datagrams(fd)) {
		vector[0] = (struct iovec){tagmem_refused, length};
		plain->msg_iovlen = 1;
	}
}

static ssize_t message(long number, int fd, struct msghdr *message, int flags, bool is_store) {
	tagmem_deliver_deferred();
	struct msghdr *own = tagmem_struct(message, sizeof *message, true);
	if (!tagmem_has_spans() || own == tagmem_refused || own == NULL || own->msg_iovlen > tagmem_vector_max)
		return tagmem_result(tagmem_call_cancellable(number, fd, own, flags));
	struct msghdr plain = *own;
	struct iovec vector[plain.msg_iovlen + 1];
	vector_of(fd, &plain, is_store, vector);
	plain.msg_name = tagmem_struct(plain.msg_name, plain.msg_namelen, is_store);
	plain.msg_control = tagmem_struct(plain.msg_control, plain.msg_controllen, is_store);
	long result = tagmem_call_cancellable(number, fd, &plain, flags);
	if (is_store && result >= 0) {
		own->msg_namelen = plain.msg_namelen;
		own->msg_controllen = plain.msg_controllen;
		own->msg_flags = plain.msg_flags;
	}
	return tagmem_result(result);
}

TAGMEM_EXPORT ssize_t sendmsg(int fd, const struct msghdr *header, int flags) {
	return message(SYS_sendmsg, fd, (struct msghdr *)header, flags, false);
}

TAGMEM_EXPORT ssize_t recvmsg(int fd, struct msghdr *header, int flags) {
	return message(SYS_recvmsg, fd, header, flags, true);
}

/* MARK: Addresses and options */

TAGMEM_EXPORT int connect(int fd, const struct sockaddr *address, socklen_t size) {
	tagmem_deliver_deferred();
	return (int)tagmem_result(tagmem_call_cancellable(SYS_connect, fd, tagmem_struct(address, size, false), size));
}

TAGMEM_EXPORT int bind(int fd, const struct sockaddr *address, socklen_t size) {
	tagmem_deliver_deferred();
	return (int)tagmem_result(tagmem_call(SYS_bind, fd, tagmem_struct(address, size, false), size));
}

TAGMEM_EXPORT int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
	tagmem_deliver_deferred();
	address = address_of(address, &size);
	return (int)tagmem_result(tagmem_call_cancellable(SYS_accept4, fd, address, size, flags));
}

TAGMEM_EXPORT int accept(int fd, struct sockaddr *address, socklen_t *size) {
	return accept4(fd, address, size, 0);
}

TAGMEM_EXPORT int getsockname(int fd, struct sockaddr *address, socklen_t *size) {
	tagmem_deliver_deferred();
	address = address_of(address, &size);
	return (int)tagmem_result(tagmem_call(SYS_getsockname, fd, address, size));
}

TAGMEM_EXPORT int getpeername(int fd, struct sockaddr *address, socklen_t *size) {
	tagmem_deliver_deferred();
	address = address_of(address, &size);
	return (int)tagmem_result(tagmem_call(SYS_getpeername, fd, address, size));
}

TAGMEM_EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
	tagmem_deliver_deferred();
	return (int)tagmem_result(
	    tagmem_call(SYS_setsockopt, fd, level, name, tagmem_struct(value, size, false), size));
}

TAGMEM_EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
	tagmem_deliver_deferred();
	value = address_of(value, &size);
	return (int)tagmem_result(tagmem_call(SYS_getsockopt, fd, level, name, value, size));
}

/* MARK: With the sizes that _FORTIFY_SOURCE knows */

_Noreturn void __chk_fail(void);
ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t size, int flags,
		       struct sockaddr *from, socklen_t *from_size);

TAGMEM_EXPORT ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t size, int flags) {
	if (length > size)
		__chk_fail();
	return recv(fd, buffer, length, flags);
}

TAGMEM_EXPORT ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t size, int flags,
				     struct sockaddr *from, socklen_t *from_size) {
	if (length > size)
		__chk_fail();
	return recvfrom(fd, buffer, length, flags, from, from_size);
}
