/* Apple's <objc/message.h> over GCC's runtime, which looks methods up but does not call them. */
#pragma once

#include_next <objc/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Called through a cast to the method's own type, as on Apple's systems. */
void objc_msgSend(void);

#ifdef __cplusplus
}
#endif
