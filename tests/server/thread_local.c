/* thread_local.c: for LD_PRELOAD. A library, as there are some, that wants 100 KiB for each
 * thread. */
static _Thread_local volatile char much[100 * 1024]
    __attribute__((tls_model("initial-exec")));

__attribute__((constructor)) static void use(void)
{
    much[0] = 1;
}
