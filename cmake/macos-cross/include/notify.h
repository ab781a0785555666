/* The part of Apple's <notify.h> that common/platform_macos.cpp uses, for cross compilers that bring no SDK. */
#pragma once

#include <stdint.h>

#define NOTIFY_STATUS_OK 0

#ifdef __cplusplus
extern "C" {
#endif

uint32_t notify_register_check(const char* name, int* out_token);
uint32_t notify_get_state(int token, uint64_t* state);
uint32_t notify_cancel(int token);

#ifdef __cplusplus
}
#endif
