/* Around an activation, and from one revision to the next. */
#include "granary.h"

bool exports_granary_grain_lifecycle_activate(exports_granary_grain_lifecycle_activate_reason_t reason, grain_string_t *err) {
  static const char *const reasons[] = {"message", "recovery", "upgrade"};
  grain_list_u8_t value;
  if (granary_expect(granary_get_bytes("locked", &value))) {
    grain_list_u8_free(&value);
    *err = granary_copy("it is locked");
    return false;
  }
  grain_string_t name = granary_copy(reasons[reason]);
  granary_expect(granary_set_string("activated", name));
  grain_string_free(&name);
  return true;
}

void exports_granary_grain_lifecycle_deactivate(exports_granary_grain_lifecycle_deactivate_reason_t reason) { (void)reason; }

bool exports_granary_grain_migration_migrate(uint64_t from_revision, grain_string_t *err) {
  (void)err;
  granary_expect(granary_set_u64("migrated", from_revision));
  return true;
}
