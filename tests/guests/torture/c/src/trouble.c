/* Ways to fail, and limits to run into. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "granary.h"

bool exports_test_torture_trouble_fail(grain_string_t *words, uint32_t *ret, grain_string_t *err) {
  (void)ret;
  granary_expect(granary_set_bool("failed", true));
  *err = *words;
  return false;
}

void exports_test_torture_trouble_throw(grain_string_t *words) {
  granary_expect(granary_set_bool("thrown", true));
  granary_panic("%.*s", GRANARY_ARG(*words));
}

void exports_test_torture_trouble_exit(uint8_t status) { exit(status); }

void exports_test_torture_trouble_abort(void) {
  granary_expect(granary_set_bool("aborted", true));
  abort();
}

void exports_test_torture_trouble_check(grain_string_t *words) {
  granary_expect(granary_set_bool("checked", true));
  assert(words->len == 0);
}

void exports_test_torture_trouble_spin(void) {
  for (;;) {
  }
}

/* Where it can be seen: memory that nobody can see need not be taken. */
static void *volatile hoarded;

void exports_test_torture_trouble_hoard(void) {
  for (size_t megabytes = 0;; megabytes++) {
    void *memory = malloc(1 << 20);
    if (memory == NULL) granary_panic("no memory after %zu MiB", megabytes);
    memset(memory, 1, 1 << 20);
    hoarded = memory;
  }
}

void exports_test_torture_trouble_speak(grain_string_t *line) {
  printf("%.*s\n", GRANARY_ARG(*line));
  fflush(stdout);
  fprintf(stderr, "%.*s\n", GRANARY_ARG(*line));
  grain_string_free(line);
}

bool exports_test_torture_trouble_has(grain_string_t *key) {
  grain_string_t name = granary_format("%.*s", GRANARY_ARG(*key));
  grain_string_free(key);
  grain_list_u8_t value;
  bool found = granary_expect(granary_get_bytes((const char *)name.ptr, &value));
  if (found) grain_list_u8_free(&value);
  grain_string_free(&name);
  return found;
}
