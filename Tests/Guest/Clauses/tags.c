/// "Excluding Tags in the IRG, ADDG and SUBG instructions": PR_MTE_TAG_MASK.
#include "clauses.h"

/// So many that each of 16 tags comes, but once in 10^14.
enum { draws = 600 };

/// The tags that IRG gives, as a mask.
static unsigned drawn(unsigned excluded) {
    unsigned tags = 0;
    for (unsigned i = 0; i < draws; i++)
        tags |= 1U << pointer_tag(insert_random_tag(nowhere(), excluded));
    return tags;
}

/// ADDG and SUBG with an offset of 0 bytes.
static unsigned added(unsigned tag) {
    return pointer_tag(add_tag(with_tag(nowhere(), tag)));
}

static unsigned subtracted(unsigned tag) {
    return pointer_tag(subtract_tag(with_tag(nowhere(), tag)));
}

/// The tag that both give: the next that is included.
static unsigned next(unsigned tag, unsigned included) {
    if (included == 0)
        return 0;
    do
        tag = (tag + 1) % tag_count;
    while ((included >> tag & 1) == 0);
    return tag;
}

static void check_mask(unsigned included) {
    enter(PR_MTE_TCF_NONE, included);
    unsigned found = drawn(0);
    if (found != (included == 0 ? 1 : included))
        fail("of the tags %04x IRG gives %04x", included, found);
    for (unsigned tag = 0; tag < tag_count; tag++) {
        unsigned expected = next(tag, included);
        if (added(tag) != expected || subtracted(tag) != expected)
            fail("of the tags %04x, from %x, ADDG gives %x, SUBG %x", included, tag, added(tag), subtracted(tag));
    }
}

static void tag_0_by_default(void) {
    expect(drawn(0) == 1);
    for (unsigned tag = 0; tag < tag_count; tag++)
        expect(added(tag) == 0 && subtracted(tag) == 0);
}

static void no_tags(void) {
    check_mask(0);
}

static void single_tags(void) {
    for (unsigned tag = 0; tag < tag_count; tag++)
        check_mask(1U << tag);
}

static void several_tags(void) {
    static const unsigned masks[] = {all_tags, nonzero_tags, 0x5555, 0xaaaa, 0x8001, 0x00f0, 0x7fff, 0x1234};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++)
        check_mask(masks[i]);
}

/// IRG's own operand excludes more.
static void operand(void) {
    enter(PR_MTE_TCF_NONE, 0xff00);
    expect(drawn(0x0fff) == 0xf000);
    expect(drawn(0xffff) == 1);
}

static void in_other_thread(void *unused) {
    (void)unused;
    expect(drawn(0) == 0x0f00);
    enter(PR_MTE_TCF_NONE, 0x00f0);
    expect(drawn(0) == 0x00f0);
}

static void per_thread(void) {
    enter(PR_MTE_TCF_NONE, 0x0f00);
    in_thread(in_other_thread, NULL);
    expect(drawn(0) == 0x0f00);
}

const struct clause tag_clauses[] = {
    {"tag-mask-is-tag-0-by-default", tag_0_by_default},
    {"tag-mask-of-none", no_tags},
    {"tag-mask-of-one", single_tags},
    {"tag-mask-of-several", several_tags},
    {"tag-mask-and-operand", operand},
    {"tag-mask-is-a-thread's", per_thread},
    {NULL, NULL},
};
