#include <stdio.h>
#include <zlib.h>
int part(void);
int main(void) { printf("%d zlib %s\n", part(), zlibVersion()); return 0; }
