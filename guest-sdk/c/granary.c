/* What granary.h promises, over the functions that `granary build` generates from WIT. */
#include "granary.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many entries one request to the host asks for. */
#define PAGE_ENTRIES 256
/* How much of a value an error shows. */
#define SHOWN_BYTES 80

/* Failing ----------------------------------------------------------------------------------------------------------------- */

static char *last_error;

static char *format_text(const char *format, va_list arguments, size_t *len) {
  va_list again;
  va_copy(again, arguments);
  int written = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (written < 0) granary_panic("the text of the format `%s` cannot be written", format);
  char *text = malloc((size_t)written + 1);
  if (text == NULL) granary_panic("out of memory");
  vsnprintf(text, (size_t)written + 1, format, arguments);
  *len = (size_t)written;
  return text;
}

__attribute__((__format__(__printf__, 2, 3))) static granary_status_t fail(granary_status_t status, const char *format, ...) {
  size_t len;
  va_list arguments;
  va_start(arguments, format);
  char *text = format_text(format, arguments, &len);
  va_end(arguments);
  free(last_error);
  last_error = text;
  return status;
}

const char *granary_error(void) { return last_error == NULL ? "" : last_error; }

bool granary_expect(granary_status_t status) {
  if (status != GRANARY_OK && status != GRANARY_NONE) granary_panic_at(NULL, 0, "%s", granary_error());
  return status == GRANARY_OK;
}

bool granary_had_no_effect(granary_status_t status) {
  switch (status) {
    case GRANARY_OVERLOADED:
    case GRANARY_DEADLOCK:
    case GRANARY_CANCELLED:
    case GRANARY_DENIED:
    case GRANARY_NOT_FOUND:
    case GRANARY_INVALID:
    case GRANARY_GUEST_TRAP:
    case GRANARY_LIMIT_EXCEEDED:
    case GRANARY_CONFLICT:
    case GRANARY_UNAVAILABLE:
      return true;
    default:
      return false;
  }
}

_Noreturn void granary_panic_at(const char *file, int line, const char *format, ...) {
  va_list arguments;
  if (file != NULL) fprintf(stderr, "%s:%d: ", file, line);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  fflush(NULL);
  abort();
}

/* Text -------------------------------------------------------------------------------------------------------------------- */

static void *allocate(size_t len) {
  void *memory = malloc(len);
  if (memory == NULL) granary_panic("out of memory");
  return memory;
}

/* A text from the heap. The empty one owns no memory, because nobody would free it: by the rules of WIT, what has no bytes is not freed. */
static grain_string_t owned(void *text, size_t len) {
  if (0 < len) return (grain_string_t){text, len};
  free(text);
  return (grain_string_t){(uint8_t *)"", 0};
}

static grain_string_t copy_of(const void *bytes, size_t len) {
  uint8_t *copy = allocate(len + 1);
  if (0 < len) memcpy(copy, bytes, len);
  copy[len] = 0;
  return owned(copy, len);
}

grain_string_t granary_text(const char *text) { return (grain_string_t){(uint8_t *)text, strlen(text)}; }

grain_string_t granary_copy(const char *text) { return copy_of(text, strlen(text)); }

grain_string_t granary_format(const char *format, ...) {
  size_t len;
  va_list arguments;
  va_start(arguments, format);
  char *text = format_text(format, arguments, &len);
  va_end(arguments);
  return owned(text, len);
}

bool granary_is(grain_string_t string, const char *text) {
  return string.len == strlen(text) && memcmp(string.ptr, text, string.len) == 0;
}

/* State: bytes -------------------------------------------------------------------------------------------------------------- */

static granary_status_t refused(granary_grain_state_state_error_t *error) {
  static const char *const codes[] = {"bad state key", "state too large", "state is read-only here", "state unavailable"};
  granary_status_t status = (granary_status_t)(GRANARY_BAD_KEY + error->code);
  fail(status, "%s: %.*s", codes[error->code], GRANARY_ARG(error->text));
  granary_grain_state_state_error_free(error);
  return status;
}

granary_status_t granary_get_bytes(const char *key, grain_list_u8_t *value) {
  grain_string_t name = granary_text(key);
  grain_option_list_u8_t found = {0};
  granary_grain_state_state_error_t error;
  if (!granary_grain_state_get(&name, &found, &error)) return refused(&error);
  if (!found.is_some) return GRANARY_NONE;
  *value = found.val;
  return GRANARY_OK;
}

granary_status_t granary_set_bytes(const char *key, const void *bytes, size_t len) {
  grain_string_t name = granary_text(key);
  grain_list_u8_t value = {(uint8_t *)bytes, len};
  granary_grain_state_state_error_t error;
  return granary_grain_state_set(&name, &value, &error) ? GRANARY_OK : refused(&error);
}

granary_status_t granary_delete(const char *key) {
  grain_string_t name = granary_text(key);
  granary_grain_state_state_error_t error;
  return granary_grain_state_delete(&name, &error) ? GRANARY_OK : refused(&error);
}

granary_scan_t granary_scan(const char *prefix) {
  granary_scan_t scan = {0};
  scan.prefix = granary_copy(prefix);
  return scan;
}

void granary_scan_end(granary_scan_t *scan) {
  granary_grain_state_page_free(&scan->page);
  grain_string_free(&scan->prefix);
  *scan = (granary_scan_t){0};
}

granary_status_t granary_next(granary_scan_t *scan) {
  while (scan->at == scan->page.entries.len) {
    if (scan->prefix.ptr == NULL) return GRANARY_NONE;
    if (scan->begun && !scan->page.cursor.is_some) {
      granary_scan_end(scan);
      return GRANARY_NONE;
    }
    granary_grain_state_page_t page = {0};
    granary_grain_state_state_error_t error;
    grain_string_t *cursor = scan->begun ? &scan->page.cursor.val : NULL;
    if (!granary_grain_state_scan(&scan->prefix, cursor, PAGE_ENTRIES, &page, &error)) {
      granary_scan_end(scan);
      return refused(&error);
    }
    granary_grain_state_page_free(&scan->page);
    scan->page = page;
    scan->at = 0;
    scan->begun = true;
  }
  granary_grain_state_entry_t *entry = &scan->page.entries.ptr[scan->at++];
  scan->key = entry->key;
  scan->value = entry->value;
  return GRANARY_OK;
}

/* State: typed -------------------------------------------------------------------------------------------------------------- */

granary_status_t granary_get_json(const char *key, grain_string_t *json) {
  grain_list_u8_t value;
  granary_status_t status = granary_get_bytes(key, &value);
  if (status != GRANARY_OK) return status;
  *json = copy_of(value.ptr, value.len);
  grain_list_u8_free(&value);
  return GRANARY_OK;
}

granary_status_t granary_set_json(const char *key, grain_string_t json) { return granary_set_bytes(key, json.ptr, json.len); }

granary_status_t granary_wrong_type(const char *key, const char *wanted, grain_string_t json) {
  int shown = json.len < SHOWN_BYTES ? (int)json.len : SHOWN_BYTES;
  const char *more = json.len < SHOWN_BYTES ? "" : "…";
  return fail(GRANARY_WRONG_TYPE, "the value under `%s` is read as %s, but was written as %.*s%s", key, wanted, shown,
              (const char *)json.ptr, more);
}

/* One getter for each type: the JSON text is fetched, read, and freed. */
#define GETTER(name, type, wanted)                                            \
  granary_status_t granary_get_##name(const char *key, type *value) {         \
    grain_string_t json;                                                      \
    granary_status_t status = granary_get_json(key, &json);                   \
    if (status != GRANARY_OK) return status;                                  \
    if (!granary_as_##name(json, value)) status = granary_wrong_type(key, wanted, json); \
    grain_string_free(&json);                                                 \
    return status;                                                            \
  }

GETTER(u64, uint64_t, "an unsigned 64-bit integer")
GETTER(i64, int64_t, "a signed 64-bit integer")
GETTER(f64, double, "a number")
GETTER(bool, bool, "a boolean")
GETTER(string, grain_string_t, "a text")

static granary_status_t set_owned(const char *key, grain_string_t json) {
  granary_status_t status = granary_set_json(key, json);
  grain_string_free(&json);
  return status;
}

granary_status_t granary_set_u64(const char *key, uint64_t value) { return set_owned(key, granary_format("%" PRIu64, value)); }

granary_status_t granary_set_i64(const char *key, int64_t value) { return set_owned(key, granary_format("%" PRId64, value)); }

granary_status_t granary_set_f64(const char *key, double value) {
  if (!isfinite(value)) return fail(GRANARY_WRONG_TYPE, "`%s` cannot be set to %f: JSON has no word for it", key, value);
  /* The shortest text that gives the same number again. */
  char text[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  return granary_set_json(key, granary_text(text));
}

granary_status_t granary_set_bool(const char *key, bool value) {
  return granary_set_json(key, granary_text(value ? "true" : "false"));
}

granary_status_t granary_set_string(const char *key, grain_string_t value) { return set_owned(key, granary_quote(value)); }

/* JSON: finding ------------------------------------------------------------------------------------------------------------- */

typedef struct {
  const uint8_t *at;
  const uint8_t *end;
} reader_t;

static reader_t reader_of(grain_string_t json) { return (reader_t){json.ptr, json.ptr + json.len}; }

static void skip_space(reader_t *reader) {
  while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL && *reader->at != 0) reader->at++;
}

static bool take(reader_t *reader, char wanted) {
  skip_space(reader);
  if (reader->at == reader->end || *reader->at != (uint8_t)wanted) return false;
  reader->at++;
  return true;
}

/* Past a string whose first quote has been taken. */
static bool skip_string(reader_t *reader) {
  while (reader->at < reader->end) {
    uint8_t byte = *reader->at++;
    if (byte == '"') return true;
    if (byte == '\\' && reader->at < reader->end) reader->at++;
  }
  return false;
}

/* Past one value of any kind: nesting is counted, not followed, so that a deep text costs no stack. */
static bool skip_value(reader_t *reader, grain_string_t *value) {
  skip_space(reader);
  const uint8_t *begin = reader->at;
  size_t depth = 0;
  do {
    skip_space(reader);
    if (reader->at == reader->end) return false;
    uint8_t byte = *reader->at;
    if (byte == '"') {
      reader->at++;
      if (!skip_string(reader)) return false;
    } else if (byte == '{' || byte == '[') {
      reader->at++;
      depth++;
    } else if (byte == '}' || byte == ']') {
      if (depth == 0) return false;
      reader->at++;
      depth--;
    } else if (byte == ',' || byte == ':') {
      if (depth == 0) return false;
      reader->at++;
    } else {
      if (byte == 0) return false;
      while (reader->at < reader->end && strchr(",:]} \t\r\n", *reader->at) == NULL) reader->at++;
    }
  } while (0 < depth);
  *value = (grain_string_t){(uint8_t *)begin, (size_t)(reader->at - begin)};
  return 0 < value->len;
}

bool granary_member(grain_string_t json, const char *name, grain_string_t *found) {
  reader_t reader = reader_of(json);
  if (!take(&reader, '{')) return false;
  do {
    grain_string_t quoted, value, member;
    if (!skip_value(&reader, &quoted) || !take(&reader, ':') || !skip_value(&reader, &value)) return false;
    if (!granary_as_string(quoted, &member)) return false;
    bool is_it = granary_is(member, name);
    grain_string_free(&member);
    if (is_it) {
      *found = value;
      return true;
    }
  } while (take(&reader, ','));
  return false;
}

bool granary_item(grain_string_t json, size_t index, grain_string_t *found) {
  reader_t reader = reader_of(json);
  grain_string_t value;
  if (!take(&reader, '[')) return false;
  do {
    if (!skip_value(&reader, &value)) return false;
    if (index-- == 0) {
      *found = value;
      return true;
    }
  } while (take(&reader, ','));
  return false;
}

/* JSON: values -------------------------------------------------------------------------------------------------------------- */

/* The one value of a text, without the space around it. */
static bool whole(grain_string_t json, grain_string_t *value) {
  reader_t reader = reader_of(json);
  if (json.len == 0 || !skip_value(&reader, value)) return false;
  skip_space(&reader);
  return reader.at == reader.end;
}

/* Digits with or without a minus, bare or in quotes, as magnitude and sign. */
static bool integer(grain_string_t json, uint64_t *magnitude, bool *negative) {
  grain_string_t text;
  if (!whole(json, &text)) return false;
  if (2 <= text.len && text.ptr[0] == '"') text = (grain_string_t){text.ptr + 1, text.len - 2};
  *negative = 0 < text.len && text.ptr[0] == '-';
  size_t at = *negative ? 1 : 0;
  if (at == text.len) return false;
  uint64_t sum = 0;
  for (; at < text.len; at++) {
    uint8_t digit = (uint8_t)(text.ptr[at] - '0');
    if (9 < digit || __builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, digit, &sum)) return false;
  }
  *magnitude = sum;
  return true;
}

bool granary_as_u64(grain_string_t json, uint64_t *found) {
  uint64_t magnitude;
  bool negative;
  if (!integer(json, &magnitude, &negative) || (negative && magnitude != 0)) return false;
  *found = magnitude;
  return true;
}

bool granary_as_i64(grain_string_t json, int64_t *found) {
  uint64_t magnitude;
  bool negative;
  if (!integer(json, &magnitude, &negative)) return false;
  if ((uint64_t)INT64_MAX + (negative ? 1 : 0) < magnitude) return false;
  *found = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
  return true;
}

bool granary_as_f64(grain_string_t json, double *found) {
  grain_string_t text;
  if (!whole(json, &text)) return false;
  /* `strtod` also knows words and hexadecimal digits. */
  for (size_t at = 0; at < text.len; at++) {
    if (strchr("0123456789+-.eE", text.ptr[at]) == NULL || text.ptr[at] == 0) return false;
  }
  grain_string_t number = copy_of(text.ptr, text.len);
  char *end;
  double value = strtod((const char *)number.ptr, &end);
  bool fits = end == (const char *)number.ptr + number.len;
  grain_string_free(&number);
  if (fits) *found = value;
  return fits;
}

bool granary_as_bool(grain_string_t json, bool *found) {
  grain_string_t text;
  if (!whole(json, &text)) return false;
  bool is_true = granary_is(text, "true");
  if (!is_true && !granary_is(text, "false")) return false;
  *found = is_true;
  return true;
}

/* Four hexadecimal digits. */
static bool hexadecimal(reader_t *reader, uint32_t *unit) {
  *unit = 0;
  for (int digit = 0; digit < 4; digit++) {
    if (reader->at == reader->end) return false;
    uint8_t byte = *reader->at++;
    uint32_t value;
    if ('0' <= byte && byte <= '9') value = (uint32_t)(byte - '0');
    else if ('a' <= (byte | 32) && (byte | 32) <= 'f') value = (uint32_t)((byte | 32) - 'a' + 10);
    else return false;
    *unit = *unit * 16 + value;
  }
  return true;
}

/* What follows `\u`: one unit, or two that make one character. */
static bool escaped_character(reader_t *reader, uint32_t *character) {
  uint32_t low;
  if (!hexadecimal(reader, character)) return false;
  if (*character < 0xD800 || 0xDFFF < *character) return true;
  bool pair = *character < 0xDC00 && reader->end - reader->at >= 2 && reader->at[0] == '\\' && reader->at[1] == 'u';
  if (!pair) return false;
  reader->at += 2;
  if (!hexadecimal(reader, &low) || low < 0xDC00 || 0xDFFF < low) return false;
  *character = 0x10000 + ((*character - 0xD800) << 10) + (low - 0xDC00);
  return true;
}

static uint8_t *put_utf8(uint8_t *to, uint32_t character) {
  if (character < 0x80) {
    *to++ = (uint8_t)character;
  } else if (character < 0x800) {
    *to++ = (uint8_t)(0xC0 | character >> 6);
    *to++ = (uint8_t)(0x80 | (character & 63));
  } else if (character < 0x10000) {
    *to++ = (uint8_t)(0xE0 | character >> 12);
    *to++ = (uint8_t)(0x80 | (character >> 6 & 63));
    *to++ = (uint8_t)(0x80 | (character & 63));
  } else {
    *to++ = (uint8_t)(0xF0 | character >> 18);
    *to++ = (uint8_t)(0x80 | (character >> 12 & 63));
    *to++ = (uint8_t)(0x80 | (character >> 6 & 63));
    *to++ = (uint8_t)(0x80 | (character & 63));
  }
  return to;
}

bool granary_as_string(grain_string_t json, grain_string_t *found) {
  static const char names[] = "\"\\/bfnrt";
  static const char meanings[] = "\"\\/\b\f\n\r\t";
  grain_string_t text;
  if (!whole(json, &text) || text.len < 2 || text.ptr[0] != '"') return false;
  reader_t reader = {text.ptr + 1, text.ptr + text.len - 1};
  /* No escape is shorter than what it stands for. */
  uint8_t *plain = allocate(text.len);
  uint8_t *to = plain;
  bool fits = true;
  while (fits && reader.at < reader.end) {
    uint8_t byte = *reader.at++;
    if (byte != '\\') {
      *to++ = byte;
      continue;
    }
    uint8_t name = reader.at < reader.end ? *reader.at++ : 0;
    const char *known = name == 0 ? NULL : strchr(names, name);
    uint32_t character = known == NULL ? 0 : (uint8_t)meanings[known - names];
    fits = known != NULL || (name == 'u' && escaped_character(&reader, &character));
    if (fits) to = put_utf8(to, character);
  }
  *to = 0;
  if (fits) *found = owned(plain, (size_t)(to - plain));
  else free(plain);
  return fits;
}

grain_string_t granary_quote(grain_string_t text) {
  /* At most six bytes for one: \u001f. */
  uint8_t *quoted = allocate(text.len * 6 + 3);
  uint8_t *to = quoted;
  *to++ = '"';
  for (size_t at = 0; at < text.len; at++) {
    uint8_t byte = text.ptr[at];
    if (byte == '"' || byte == '\\') {
      *to++ = '\\';
      *to++ = byte;
    } else if (byte < 0x20) {
      to += sprintf((char *)to, "\\u%04x", byte);
    } else {
      *to++ = byte;
    }
  }
  *to++ = '"';
  *to = 0;
  return (grain_string_t){quoted, (size_t)(to - quoted)};
}

/* Calls --------------------------------------------------------------------------------------------------------------------- */

static granary_status_t call_failed(granary_grain_calls_call_error_t *error, grain_string_t *answer) {
  static const char *const codes[] = {"overloaded",  "deadlock",       "timeout",  "cancelled",   "denied",          "not found", "invalid",
                                      "guest trap", "limit exceeded", "conflict", "unavailable", "unknown outcome", "answered"};
  granary_status_t status = (granary_status_t)(GRANARY_OVERLOADED + error->code);
  fail(status, "%s: %.*s", codes[error->code], GRANARY_ARG(error->text));
  if (status == GRANARY_APP && answer != NULL) *answer = copy_of(error->text.ptr, error->text.len);
  granary_grain_calls_call_error_free(error);
  return status;
}

granary_status_t granary_call_with(granary_call_options_t options, const char *kind, const char *key, const char *method,
                                   const char *arguments, grain_string_t *answer) {
  granary_grain_calls_grain_id_t target = {granary_text(kind), granary_text(key)};
  grain_string_t name = granary_text(method);
  granary_grain_calls_payload_t payload = {.tag = GRANARY_GRAIN_CALLS_PAYLOAD_JSON, .val.json = granary_text(arguments)};
  granary_grain_calls_call_options_t said = {
      .timeout = {options.timeout != 0, options.timeout},
      .idempotency_key = {options.idempotency_key != NULL,
                          granary_text(options.idempotency_key == NULL ? "" : options.idempotency_key)},
  };
  granary_grain_calls_payload_t result;
  granary_grain_calls_call_error_t error;
  if (answer != NULL) *answer = (grain_string_t){(uint8_t *)"", 0};
  if (!granary_grain_calls_call(&target, &name, &payload, &said, &result, &error)) return call_failed(&error, answer);
  if (answer != NULL) *answer = copy_of(result.val.json.ptr, result.val.json.len);
  granary_grain_calls_payload_free(&result);
  return GRANARY_OK;
}

granary_status_t granary_call(const char *kind, const char *key, const char *method, const char *arguments, grain_string_t *answer) {
  return granary_call_with((granary_call_options_t){0}, kind, key, method, arguments, answer);
}

granary_status_t granary_send_after(uint64_t delay, const char *kind, const char *key, const char *method, const char *arguments) {
  granary_grain_calls_grain_id_t target = {granary_text(kind), granary_text(key)};
  grain_string_t name = granary_text(method);
  granary_grain_calls_payload_t payload = {.tag = GRANARY_GRAIN_CALLS_PAYLOAD_JSON, .val.json = granary_text(arguments)};
  granary_grain_calls_send_options_t said = {.delay = {delay != 0, delay}};
  granary_grain_calls_call_error_t error;
  if (!granary_grain_calls_send(&target, &name, &payload, &said, &error)) return call_failed(&error, NULL);
  return GRANARY_OK;
}

granary_status_t granary_send(const char *kind, const char *key, const char *method, const char *arguments) {
  return granary_send_after(0, kind, key, method, arguments);
}

/* Context ------------------------------------------------------------------------------------------------------------------- */

grain_string_t granary_key(void) {
  granary_grain_context_grain_id_t id;
  granary_grain_context_self_id(&id);
  grain_string_t key = copy_of(id.key.ptr, id.key.len);
  granary_grain_context_grain_id_free(&id);
  return key;
}

grain_string_t granary_id_text(granary_grain_types_grain_id_t id) {
  return granary_format("%.*s/%.*s", GRANARY_ARG(id.kind), GRANARY_ARG(id.key));
}

bool granary_caller(grain_string_t *id) {
  granary_grain_context_grain_id_t caller;
  if (!granary_grain_context_caller(&caller)) return false;
  *id = granary_id_text(caller);
  granary_grain_context_grain_id_free(&caller);
  return true;
}

bool granary_baggage(const char *name, grain_string_t *value) {
  grain_string_t text = granary_text(name);
  return granary_grain_context_baggage(&text, value);
}

granary_status_t granary_set_baggage(const char *name, const char *value) {
  grain_string_t name_text = granary_text(name);
  grain_string_t value_text = granary_text(value);
  grain_string_t error;
  if (granary_grain_context_set_baggage(&name_text, &value_text, &error)) return GRANARY_OK;
  granary_status_t status = fail(GRANARY_TOO_LARGE, "baggage refused: %.*s", GRANARY_ARG(error));
  grain_string_free(&error);
  return status;
}
