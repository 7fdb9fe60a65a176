#ifndef CFUSE_H
#define CFUSE_H
#include <fuse3/fuse_lowlevel.h>
#endif
