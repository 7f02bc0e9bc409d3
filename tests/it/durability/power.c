/* Shuts a file system down without writing its journal, as a power cut would. Its argument is the folder it is mounted on. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define SHUT_DOWN _IOR('X', 125, uint32_t)

int main(int count, char **arguments) {
    uint32_t without_journal = 2;
    int folder = count > 1 ? open(arguments[1], O_RDONLY) : -1;
    if (folder >= 0 && !ioctl(folder, SHUT_DOWN, &without_journal)) return 0;
    perror("power");
    return 1;
}
