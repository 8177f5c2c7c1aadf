/* What a test tells the host of tests, and what it can read there. */
#ifndef FAKE_H
#define FAKE_H

#include "granary.h"

typedef struct {
  /* Refuses every state operation with this code and this text; NULL: refuses none. */
  uint8_t refuse_code;
  const char *refuse_state;
  /* The most entries a page. */
  uint32_t page_entries;
  /* How many pages were fetched. */
  int pages;

  /* The answer of every call, or, if there is a text, its error. */
  const char *answer;
  uint8_t call_code;
  const char *call_error;
  /* The last call or send, and its options. */
  char *called;
  uint64_t timeout;
  bool had_idempotency_key;

  /* Whether a grain called. */
  bool has_caller;
} fake_t;

extern fake_t fake;

/* Forgets everything. */
void fake_reset(void);

#endif
