// Says $GREETING, prints the file its first argument names, and exits with the code its second one says.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    const char *greeting = getenv("GREETING");
    printf("C says %s\n", greeting ? greeting : "nothing");
    if (argc < 2) {
        return 0;
    }
    FILE *file = fopen(argv[1], "r");
    if (!file) {
        perror(argv[1]);
        return 1;
    }
    char buffer[4096];
    size_t count;
    while ((count = fread(buffer, 1, sizeof buffer, file)) > 0) {
        fwrite(buffer, 1, count, stdout);
    }
    fclose(file);
    return argc > 2 ? atoi(argv[2]) : 0;
}
