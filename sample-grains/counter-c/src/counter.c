/*
 * State: a number that survives, in C.
 *
 * `counter-c/visits` and `counter-c/sales` are two grains with a number each. Whatever a turn writes is committed before its answer
 * leaves; a turn that ends in `granary_panic` or `abort` leaves no trace.
 */
#include "granary.h"

/* The number's place in the state. */
static const char COUNT[] = "count";

/* The memory of one activation: fast, and gone when the grain goes to rest. */
static uint64_t in_memory;

uint64_t exports_demo_counter_counter_get(void) {
  uint64_t count = 0;
  granary_expect(granary_get_u64(COUNT, &count));
  return count;
}

uint64_t exports_demo_counter_counter_increment(uint64_t by) {
  uint64_t count;
  /* As large as it can be, rather than small again. */
  if (__builtin_add_overflow(exports_demo_counter_counter_get(), by, &count)) count = UINT64_MAX;
  granary_expect(granary_set_u64(COUNT, count));
  return count;
}

uint64_t exports_demo_counter_counter_increment_memory(uint64_t by) {
  in_memory += by;
  return in_memory;
}
