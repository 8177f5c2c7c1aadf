/* A host for tests: the imported functions that granary.c uses, over a small table in memory. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 16

typedef struct {
  char key[64];
  uint8_t *bytes;
  size_t len;
} slot_t;

static slot_t slots[ENTRIES_MAX];
static size_t slots_used;

fake_t fake;

void fake_reset(void) {
  for (size_t at = 0; at < slots_used; at++) free(slots[at].bytes);
  slots_used = 0;
  free(fake.called);
  fake = (fake_t){.page_entries = 2};
}

/* Strings as wit-bindgen's helpers have them. */

void grain_string_free(grain_string_t *string) {
  if (0 < string->len) free(string->ptr);
  *string = (grain_string_t){0};
}

static grain_string_t copy(const void *bytes, size_t len) {
  if (len == 0) return (grain_string_t){(uint8_t *)"", 0};
  uint8_t *ptr = malloc(len);
  memcpy(ptr, bytes, len);
  return (grain_string_t){ptr, len};
}

static grain_string_t copy_text(const char *text) { return copy(text, strlen(text)); }

void grain_list_u8_free(grain_list_u8_t *list) {
  if (0 < list->len) free(list->ptr);
}

/* State: kept in the order of the keys, as the contract promises it. */

static size_t place(const grain_string_t *key, bool *there) {
  size_t at = 0;
  while (at < slots_used) {
    size_t len = strlen(slots[at].key);
    int order = memcmp(slots[at].key, key->ptr, len < key->len ? len : key->len);
    if (order == 0) order = (len > key->len) - (len < key->len);
    *there = order == 0;
    if (0 <= order) return at;
    at++;
  }
  *there = false;
  return at;
}

static bool refuse(granary_grain_state_state_error_t *err) {
  if (fake.refuse_state == NULL) return false;
  err->code = fake.refuse_code;
  err->text = copy_text(fake.refuse_state);
  return true;
}

bool granary_grain_state_get(grain_string_t *key, grain_option_list_u8_t *ret, granary_grain_state_state_error_t *err) {
  if (refuse(err)) return false;
  size_t at = place(key, &ret->is_some);
  if (ret->is_some) {
    grain_string_t bytes = copy(slots[at].bytes, slots[at].len);
    ret->val = (grain_list_u8_t){bytes.ptr, bytes.len};
  }
  return true;
}

bool granary_grain_state_set(grain_string_t *key, grain_list_u8_t *value, granary_grain_state_state_error_t *err) {
  if (refuse(err)) return false;
  bool there;
  size_t at = place(key, &there);
  if (there) {
    free(slots[at].bytes);
  } else {
    memmove(&slots[at + 1], &slots[at], (slots_used - at) * sizeof slots[0]);
    snprintf(slots[at].key, sizeof slots[at].key, "%.*s", GRANARY_ARG(*key));
    slots_used++;
  }
  slots[at].bytes = malloc(value->len + 1);
  if (0 < value->len) memcpy(slots[at].bytes, value->ptr, value->len);
  slots[at].len = value->len;
  return true;
}

bool granary_grain_state_delete(grain_string_t *key, granary_grain_state_state_error_t *err) {
  if (refuse(err)) return false;
  bool there;
  size_t at = place(key, &there);
  if (there) {
    free(slots[at].bytes);
    memmove(&slots[at], &slots[at + 1], (slots_used - at - 1) * sizeof slots[0]);
    slots_used--;
  }
  return true;
}

bool granary_grain_state_scan(grain_string_t *prefix, grain_string_t *cursor, uint32_t limit, granary_grain_state_page_t *ret,
                              granary_grain_state_state_error_t *err) {
  if (refuse(err)) return false;
  if (fake.page_entries < limit) limit = fake.page_entries;
  *ret = (granary_grain_state_page_t){0};
  ret->entries.ptr = calloc(limit, sizeof ret->entries.ptr[0]);
  for (size_t at = 0; at < slots_used; at++) {
    const slot_t *slot = &slots[at];
    if (strncmp(slot->key, (const char *)prefix->ptr, prefix->len) != 0) continue;
    if (cursor != NULL && memcmp(slot->key, cursor->ptr, cursor->len) <= 0) continue;
    if (ret->entries.len == limit) {
      ret->cursor.is_some = true;
      ret->cursor.val = copy(ret->entries.ptr[limit - 1].key.ptr, ret->entries.ptr[limit - 1].key.len);
      break;
    }
    grain_string_t value = copy(slot->bytes, slot->len);
    ret->entries.ptr[ret->entries.len++] = (granary_grain_state_entry_t){copy_text(slot->key), {value.ptr, value.len}};
  }
  fake.pages++;
  return true;
}

void granary_grain_state_page_free(granary_grain_state_page_t *page) {
  for (size_t at = 0; at < page->entries.len; at++) {
    grain_string_free(&page->entries.ptr[at].key);
    grain_list_u8_free(&page->entries.ptr[at].value);
  }
  free(page->entries.ptr);
  if (page->cursor.is_some) grain_string_free(&page->cursor.val);
}

void granary_grain_state_state_error_free(granary_grain_state_state_error_t *error) { grain_string_free(&error->text); }

/* Calls: what was called is written down, what comes back was set by the test. */

static void note(const char *verb, const granary_grain_calls_grain_id_t *target, const grain_string_t *method,
                 const granary_grain_calls_payload_t *arguments) {
  grain_string_t text = granary_format("%s %.*s/%.*s %.*s %.*s", verb, GRANARY_ARG(target->kind), GRANARY_ARG(target->key),
                                       GRANARY_ARG(*method), GRANARY_ARG(arguments->val.json));
  free(fake.called);
  fake.called = (char *)text.ptr;
}

static granary_grain_types_grain_id_t grain(const char *kind, const char *key) {
  return (granary_grain_types_grain_id_t){copy_text(kind), copy_text(key)};
}

static bool answered(granary_grain_calls_call_error_t *err) {
  if (fake.call_error == NULL) return true;
  *err = (granary_grain_calls_call_error_t){.code = fake.call_code, .text = copy_text(fake.call_error)};
  if (fake.call_code == GRANARY_GRAIN_TYPES_CALL_ERROR_CODE_DEADLOCK) {
    granary_grain_types_grain_id_t *grains = calloc(3, sizeof *grains);
    grains[0] = grain("cart", "7");
    grains[1] = grain("stock", "3");
    grains[2] = grain("cart", "7");
    err->circle = (granary_grain_types_list_grain_id_t){grains, 3};
  }
  return false;
}

bool granary_grain_calls_call(granary_grain_calls_grain_id_t *target, grain_string_t *method, granary_grain_calls_payload_t *arguments,
                              granary_grain_calls_call_options_t *options, granary_grain_calls_payload_t *ret,
                              granary_grain_calls_call_error_t *err) {
  note("call", target, method, arguments);
  fake.timeout = options->timeout.is_some ? options->timeout.val : 0;
  fake.had_idempotency_key = options->idempotency_key.is_some;
  if (!answered(err)) return false;
  ret->tag = GRANARY_GRAIN_CALLS_PAYLOAD_JSON;
  ret->val.json = copy_text(fake.answer);
  return true;
}

bool granary_grain_calls_send(granary_grain_calls_grain_id_t *target, grain_string_t *method, granary_grain_calls_payload_t *arguments,
                              granary_grain_calls_send_options_t *options, granary_grain_calls_call_error_t *err) {
  note("send", target, method, arguments);
  fake.timeout = options->delay.is_some ? options->delay.val : 0;
  return answered(err);
}

void granary_grain_calls_payload_free(granary_grain_calls_payload_t *payload) { grain_string_free(&payload->val.json); }

void granary_grain_calls_call_error_free(granary_grain_calls_call_error_t *error) {
  grain_string_free(&error->text);
  for (size_t at = 0; at < error->circle.len; at++) granary_grain_context_grain_id_free(&error->circle.ptr[at]);
  if (0 < error->circle.len) free(error->circle.ptr);
}

/* Context. */

void granary_grain_context_self_id(granary_grain_context_grain_id_t *ret) { *ret = grain("counter", "visits"); }

bool granary_grain_context_caller(granary_grain_context_grain_id_t *ret) {
  if (fake.has_caller) *ret = grain("cart", "7");
  return fake.has_caller;
}

void granary_grain_context_grain_id_free(granary_grain_context_grain_id_t *id) {
  grain_string_free(&id->kind);
  grain_string_free(&id->key);
}

bool granary_grain_context_baggage(grain_string_t *name, grain_string_t *ret) {
  if (!granary_is(*name, "tenant")) return false;
  *ret = copy_text("blue");
  return true;
}

bool granary_grain_context_set_baggage(grain_string_t *name, grain_string_t *value, grain_string_t *err) {
  if (name->len + value->len <= 8192) return true;
  *err = copy_text("the baggage of the call would be over 8 KiB");
  return false;
}
