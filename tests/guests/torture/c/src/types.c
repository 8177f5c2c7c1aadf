/* Every type there and back: what came in is moved out again, so there is nothing to free and nothing to copy. */
#include "grain.h"

#define ECHO_VALUE(name, type) \
  type exports_test_torture_types_##name(type value) { return value; }
#define ECHO_POINTER(name, type) \
  void exports_test_torture_types_##name(type *value, type *ret) { *ret = *value; }

ECHO_VALUE(boolean, bool)
ECHO_VALUE(unsigned8, uint8_t)
ECHO_VALUE(unsigned16, uint16_t)
ECHO_VALUE(unsigned32, uint32_t)
ECHO_VALUE(unsigned64, uint64_t)
ECHO_VALUE(signed8, int8_t)
ECHO_VALUE(signed16, int16_t)
ECHO_VALUE(signed32, int32_t)
ECHO_VALUE(signed64, int64_t)
ECHO_VALUE(float32, float)
ECHO_VALUE(float64, double)
ECHO_VALUE(character, uint32_t)
ECHO_VALUE(an_enum, exports_test_torture_types_color_t)
ECHO_VALUE(some_flags, exports_test_torture_types_rights_t)

ECHO_POINTER(text, grain_string_t)
ECHO_POINTER(bytes, grain_list_u8_t)
ECHO_POINTER(numbers, grain_list_s64_t)
ECHO_POINTER(texts, grain_list_string_t)
ECHO_POINTER(pair, grain_tuple2_u8_string_t)
ECHO_POINTER(a_record, exports_test_torture_types_order_t)
ECHO_POINTER(a_variant, exports_test_torture_types_shape_t)
ECHO_POINTER(outcomes, exports_test_torture_types_list_result_u32_string_t)

/* An option is a pointer that may be NULL on the way in, and a truth with a value on the way out. */

bool exports_test_torture_types_maybe(uint32_t *value, uint32_t *ret) {
  if (value != NULL) *ret = *value;
  return value != NULL;
}

bool exports_test_torture_types_maybe_maybe(grain_option_u32_t *value, grain_option_u32_t *ret) {
  if (value != NULL) *ret = *value;
  return value != NULL;
}
