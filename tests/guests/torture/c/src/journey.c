/* What a grain sees of its call, and calls that it makes. */
#include <string.h>

#include "granary.h"

static const char *text_of(grain_string_t *argument, grain_string_t *copy) {
  *copy = granary_format("%.*s", GRANARY_ARG(*argument));
  grain_string_free(argument);
  return (const char *)copy->ptr;
}

/* Calls a method that takes a text and answers one. */
static bool ask(const char *kind, const char *key, const char *method, grain_string_t text, grain_string_t *ret, grain_string_t *err) {
  grain_string_t quoted = granary_quote(text), answer;
  grain_string_t arguments = granary_format("[%.*s]", GRANARY_ARG(quoted));
  granary_status_t status = granary_call(kind, key, method, (const char *)arguments.ptr, &answer);
  if (status != GRANARY_OK) *err = granary_copy(granary_error());
  else if (!granary_as_string(answer, ret)) granary_panic("`%s` answered %.*s", method, GRANARY_ARG(answer));
  grain_string_free(&quoted);
  grain_string_free(&arguments);
  grain_string_free(&answer);
  return status == GRANARY_OK;
}

bool exports_test_torture_journey_call(grain_string_t *kind, grain_string_t *key, grain_string_t *text, grain_string_t *ret,
                                       grain_string_t *err) {
  grain_string_t kind_text, key_text;
  bool answered = ask(text_of(kind, &kind_text), text_of(key, &key_text), "text", *text, ret, err);
  grain_string_free(text);
  grain_string_free(&kind_text);
  grain_string_free(&key_text);
  return answered;
}

void exports_test_torture_journey_who(grain_tuple3_string_option_string_u32_t *ret) {
  granary_grain_context_grain_id_t id;
  granary_grain_context_self_id(&id);
  ret->f0 = granary_id_text(id);
  granary_grain_context_grain_id_free(&id);
  ret->f1.is_some = granary_caller(&ret->f1.val);
  granary_grain_context_list_grain_id_t chain;
  granary_grain_context_call_chain(&chain);
  ret->f2 = (uint32_t)chain.len;
  granary_grain_context_list_grain_id_free(&chain);
}

uint64_t exports_test_torture_journey_time_left(void) { return granary_grain_context_deadline_remaining() / 1000000; }

bool exports_test_torture_journey_baggage(grain_string_t *name, grain_string_t *ret) {
  bool found = granary_grain_context_baggage(name, ret);
  grain_string_free(name);
  return found;
}

/* The end of the path. */
static grain_string_t arrived(void) {
  grain_tuple3_string_option_string_u32_t who;
  exports_test_torture_journey_who(&who);
  grain_string_t name, trip;
  grain_string_set(&name, "trip");
  if (!granary_grain_context_baggage(&name, &trip)) trip = granary_format("");
  grain_string_t caller = who.f1.is_some ? who.f1.val : granary_format("");
  unsigned long long left = exports_test_torture_journey_time_left();
  grain_string_t text = granary_format("%.*s %.*s %u %llu %.*s", GRANARY_ARG(who.f0), GRANARY_ARG(caller), (unsigned)who.f2, left, GRANARY_ARG(trip));
  grain_string_free(&who.f0);
  grain_string_free(&caller);
  grain_string_free(&trip);
  return text;
}

bool exports_test_torture_journey_onward(grain_string_t *path, grain_string_t *ret, grain_string_t *err) {
  grain_string_t copy;
  char *kind = (char *)text_of(path, &copy);
  char *rest = strchr(kind, ' ');
  if (rest != NULL) *rest++ = '\0';
  char *key = strchr(kind, '/');
  bool answered = true;
  if (key == NULL) {
    *ret = arrived();
  } else {
    *key++ = '\0';
    grain_string_t onward;
    grain_string_set(&onward, rest == NULL ? "" : rest);
    answered = ask(kind, key, "onward", onward, ret, err);
  }
  grain_string_free(&copy);
  return answered;
}
