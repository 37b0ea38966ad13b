/* much.c: for LD_PRELOAD. 120 KiB of memory that each thread has for itself. */
__thread char much[120 * 1024] __attribute__((tls_model("initial-exec")));
