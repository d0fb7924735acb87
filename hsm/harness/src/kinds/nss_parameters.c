/* A PKCS#11 module for tests: NSS softokn as it is, but for C_Initialize, which is given the parameters that NSS wants
 * in the place that the standard reserves. No program but NSS can pass them.
 *
 * NSS_PARAMETERS_MODULE: path of libsoftokn3.so. NSS_PARAMETERS: the parameters.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* CK_C_INITIALIZE_ARGS: four pointers to functions, the flags, the place that is reserved; NSS reads one place more. */
struct arguments {
    void *mutex[4];
    unsigned long flags;
    char *parameters;
    void *reserved;
};

/* CK_FUNCTION_LIST of version 2.x: the version, padded, and 68 pointers, C_Initialize first. */
#define PLACES 69
#define C_INITIALIZE 1
#define OS_LOCKING_OK 2

typedef unsigned long (*function)(void *);

static void *list[PLACES];
static function initialize_of_nss;

static unsigned long initialize(void *given)
{
    struct arguments arguments = { { 0 }, OS_LOCKING_OK, getenv("NSS_PARAMETERS"), 0 };
    (void)given;
    return initialize_of_nss(&arguments);
}

unsigned long C_GetFunctionList(void ***answer)
{
    void **of_nss = 0;
    const char *path = getenv("NSS_PARAMETERS_MODULE");
    void *module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : 0;
    unsigned long (*get)(void ***) = module ? (unsigned long (*)(void ***))dlsym(module, "C_GetFunctionList") : 0;
    if (!get || get(&of_nss) || !of_nss)
        return 5; /* CKR_GENERAL_ERROR */
    memcpy(list, of_nss, sizeof list);
    initialize_of_nss = (function)of_nss[C_INITIALIZE];
    list[C_INITIALIZE] = (void *)initialize;
    *answer = list;
    return 0;
}
