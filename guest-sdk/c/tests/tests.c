/* Tests of granary.c, compiled for the machine that they run on, with a host of their own (fake.c). See the Makefile. */
#include "fake.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int checks;
static int failures;

#define CHECK(condition)                                                  \
  do {                                                                    \
    checks++;                                                             \
    if (!(condition)) {                                                   \
      failures++;                                                         \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);     \
    }                                                                     \
  } while (0)

/* Compares and frees. */
static bool gives(grain_string_t string, const char *wanted) {
  bool is_it = granary_is(string, wanted);
  if (!is_it) fprintf(stderr, "  got %.*s\n", GRANARY_ARG(string));
  grain_string_free(&string);
  return is_it;
}

static bool state_is(const char *key, const char *wanted) {
  grain_string_t json;
  return granary_get_json(key, &json) == GRANARY_OK && gives(json, wanted);
}

static void numbers_are_kept_as_json_text(void) {
  uint64_t big = 7;
  CHECK(granary_get_u64("count", &big) == GRANARY_NONE && big == 7);
  CHECK(granary_set_u64("count", UINT64_MAX) == GRANARY_OK);
  CHECK(state_is("count", "18446744073709551615"));
  CHECK(granary_get_u64("count", &big) == GRANARY_OK && big == UINT64_MAX);

  int64_t signed_one = 0;
  CHECK(granary_set_i64("delta", INT64_MIN) == GRANARY_OK);
  CHECK(state_is("delta", "-9223372036854775808"));
  CHECK(granary_get_i64("delta", &signed_one) == GRANARY_OK && signed_one == INT64_MIN);
  CHECK(granary_get_i64("count", &signed_one) == GRANARY_WRONG_TYPE);
  CHECK(granary_get_u64("delta", &big) == GRANARY_WRONG_TYPE && big == UINT64_MAX);

  double fraction = 0;
  CHECK(granary_set_f64("ratio", 0.1) == GRANARY_OK);
  CHECK(state_is("ratio", "0.1"));
  CHECK(granary_set_f64("ratio", 1.0 / 3) == GRANARY_OK);
  CHECK(granary_get_f64("ratio", &fraction) == GRANARY_OK && fraction == 1.0 / 3);
  CHECK(granary_set_f64("ratio", INFINITY) == GRANARY_WRONG_TYPE);
  CHECK(granary_get_f64("ratio", &fraction) == GRANARY_OK && fraction == 1.0 / 3);

  bool flag = false;
  CHECK(granary_set_bool("paid", true) == GRANARY_OK && state_is("paid", "true"));
  CHECK(granary_get_bool("paid", &flag) == GRANARY_OK && flag);
}

static void what_another_language_wrote_is_read(void) {
  uint64_t number = 0;
  const char *good[] = {"5", " 5\n", "\"5\""};
  for (size_t at = 0; at < 3; at++) {
    CHECK(granary_as_u64(granary_text(good[at]), &number) && number == 5);
  }
  const char *bad[] = {"", "5.5", "five", "-5", "18446744073709551616", "5 6", "\"\"", "-", "null", "[5]", "\"5"};
  for (size_t at = 0; at < sizeof bad / sizeof bad[0]; at++) {
    CHECK(!granary_as_u64(granary_text(bad[at]), &number));
  }
  double fraction = 0;
  CHECK(granary_as_f64(granary_text("-2.5e3"), &fraction) && fraction == -2500);
  CHECK(!granary_as_f64(granary_text("nan"), &fraction) && !granary_as_f64(granary_text("0x10"), &fraction));
}

static void a_value_of_another_type_is_an_error_that_shows_both(void) {
  uint64_t count = 3;
  CHECK(granary_set_string("count", granary_text("three")) == GRANARY_OK);
  CHECK(granary_get_u64("count", &count) == GRANARY_WRONG_TYPE && count == 3);
  CHECK(strcmp(granary_error(),
               "the value under `count` is read as an unsigned 64-bit integer, but was written as \"three\"") == 0);
  CHECK(state_is("count", "\"three\""));
}

static void text_survives_every_escape(void) {
  grain_string_t text;
  const char *hard = "a \"quote\", a \\, a\ttab\n, \x01, ä, → and 🌾";
  CHECK(granary_set_string("text", granary_text(hard)) == GRANARY_OK);
  CHECK(granary_get_string("text", &text) == GRANARY_OK && gives(text, hard));
  CHECK(granary_as_string(granary_text("\"\\u00e4\\ud83c\\udf3e\\/\\b\""), &text) && gives(text, "ä🌾/\b"));
  CHECK(granary_as_string(granary_text("\"\""), &text) && gives(text, ""));
  const char *bad[] = {"\"\\ud83c\"", "\"\\udf3e\"", "\"\\u12\"", "\"\\x\"", "\"open", "5", ""};
  for (size_t at = 0; at < sizeof bad / sizeof bad[0]; at++) {
    CHECK(!granary_as_string(granary_text(bad[at]), &text));
  }
  CHECK(gives(granary_format("%s", ""), "") && gives(granary_copy(""), ""));
}

static void bytes_and_json_are_kept_as_they_are(void) {
  grain_list_u8_t bytes;
  CHECK(granary_set_bytes("picture", "\0\xff\0", 3) == GRANARY_OK);
  CHECK(granary_get_bytes("picture", &bytes) == GRANARY_OK && bytes.len == 3 && memcmp(bytes.ptr, "\0\xff\0", 3) == 0);
  grain_list_u8_free(&bytes);
  CHECK(granary_set_bytes("empty", NULL, 0) == GRANARY_OK);
  CHECK(granary_get_bytes("empty", &bytes) == GRANARY_OK && bytes.len == 0);
  CHECK(granary_delete("picture") == GRANARY_OK && granary_get_bytes("picture", &bytes) == GRANARY_NONE);
  CHECK(granary_delete("picture") == GRANARY_OK);
}

static void a_refusal_is_told_by_case_and_words(void) {
  static const granary_status_t cases[] = {GRANARY_BAD_KEY, GRANARY_TOO_LARGE, GRANARY_READ_ONLY, GRANARY_STATE_UNAVAILABLE};
  fake.refuse_state = "because";
  for (uint8_t code = 0; code < 4; code++) {
    fake.refuse_code = code;
    CHECK(granary_set_u64("count", 1) == cases[code]);
  }
  CHECK(strcmp(granary_error(), "state unavailable: because") == 0);
  granary_scan_t scan = granary_scan("item/");
  CHECK(granary_next(&scan) == GRANARY_STATE_UNAVAILABLE && granary_next(&scan) == GRANARY_NONE);
  grain_list_u8_t bytes;
  CHECK(granary_get_bytes("count", &bytes) == GRANARY_STATE_UNAVAILABLE && granary_delete("count") == GRANARY_STATE_UNAVAILABLE);
}

static void a_scan_goes_through_all_pages_in_order(void) {
  for (int at = 5; 0 < at; at--) {
    char key[16];
    snprintf(key, sizeof key, "item/%d", at);
    granary_expect(granary_set_i64(key, at * 10));
  }
  granary_expect(granary_set_i64("other", 1));
  granary_scan_t scan = granary_scan("item/");
  int64_t seen = 0;
  while (granary_expect(granary_next(&scan))) {
    int64_t value = 0;
    CHECK(granary_as_i64((grain_string_t){scan.value.ptr, scan.value.len}, &value));
    seen = seen * 100 + value;
  }
  CHECK(seen == 1020304050 && fake.pages == 3);
  CHECK(granary_next(&scan) == GRANARY_NONE);
  scan = granary_scan("item/");
  CHECK(granary_next(&scan) == GRANARY_OK && granary_is(scan.key, "item/1"));
  granary_scan_end(&scan);
  CHECK(granary_next(&scan) == GRANARY_NONE);
}

static void parts_of_json_are_found(void) {
  grain_string_t json = granary_text("{\"id\": 7, \"a \\\"b\\\"\": [1, {\"x\": [2, \"],}\"]}, null], \"last\":true}");
  grain_string_t part = {0}, inner = {0};
  uint64_t number;
  bool flag;
  CHECK(granary_member(json, "id", &part) && granary_as_u64(part, &number) && number == 7);
  CHECK(granary_member(json, "last", &part) && granary_as_bool(part, &flag) && flag);
  CHECK(granary_member(json, "a \"b\"", &part) && granary_item(part, 1, &inner) && granary_member(inner, "x", &inner));
  CHECK(granary_item(inner, 1, &part) && granary_is(part, "\"],}\""));
  CHECK(!granary_member(json, "none", &part) && !granary_item(inner, 2, &part) && !granary_item(json, 0, &part));
  const char *broken[] = {"", "{", "[", "[1", "{\"a\"", "{\"a\":", "{\"a\":1", "[\"", "]", "{1:2}", "[1,]", "[[[["};
  for (size_t at = 0; at < sizeof broken / sizeof broken[0]; at++) {
    CHECK(!granary_item(granary_text(broken[at]), 3, &part) && !granary_member(granary_text(broken[at]), "b", &part));
  }
  CHECK(!granary_item((grain_string_t){(uint8_t *)"[\0]", 3}, 0, &part));
}

static void a_call_goes_out_with_its_options_and_comes_back(void) {
  grain_string_t answer;
  fake.answer = "{\"left\":4}";
  CHECK(granary_call("stock", "sku-7", "take", "[3]", &answer) == GRANARY_OK && gives(answer, "{\"left\":4}"));
  CHECK(strcmp(fake.called, "call stock/sku-7 take [3]") == 0 && fake.timeout == 0 && !fake.had_idempotency_key);
  granary_call_options_t options = {.timeout = 5000, .idempotency_key = "once"};
  CHECK(granary_call_with(options, "stock", "sku-7", "take", "[3]", NULL) == GRANARY_OK);
  CHECK(fake.timeout == 5000 && fake.had_idempotency_key);
  CHECK(granary_send("audit", "2031", "taken", "[]") == GRANARY_OK && strcmp(fake.called, "send audit/2031 taken []") == 0);
  CHECK(granary_send_after(9, "audit", "2031", "taken", "[]") == GRANARY_OK && fake.timeout == 9);
}

static void a_failed_call_says_what_became_of_it(void) {
  grain_string_t answer;
  fake.call_error = "the mailbox is full";
  for (uint8_t code = 0; code <= GRANARY_GRAIN_TYPES_CALL_ERROR_CODE_APP; code++) {
    fake.call_code = code;
    granary_status_t status = granary_call("stock", "3", "take", "[3]", &answer);
    bool unclear = status == GRANARY_TIMEOUT || status == GRANARY_UNKNOWN_OUTCOME || status == GRANARY_APP;
    CHECK(status == (granary_status_t)(GRANARY_OVERLOADED + code) && granary_had_no_effect(status) == !unclear);
    if (status == GRANARY_OVERLOADED) CHECK(strcmp(granary_error(), "overloaded: the mailbox is full") == 0);
    if (status == GRANARY_DEADLOCK) CHECK(strcmp(granary_error(), "deadlock: the mailbox is full") == 0);
    CHECK(gives(answer, status == GRANARY_APP ? "the mailbox is full" : ""));
  }
  CHECK(granary_send("stock", "3", "take", "[3]") == GRANARY_APP);
}

static void a_turn_knows_who_and_for_whom_it_runs(void) {
  grain_string_t text;
  CHECK(gives(granary_key(), "visits") && !granary_caller(&text));
  fake.has_caller = true;
  CHECK(granary_caller(&text) && gives(text, "cart/7"));
  CHECK(granary_baggage("tenant", &text) && gives(text, "blue") && !granary_baggage("colour", &text));
  static char much[9000];
  memset(much, 'x', sizeof much - 1);
  CHECK(granary_set_baggage("tenant", "red") == GRANARY_OK && granary_set_baggage("tenant", much) == GRANARY_TOO_LARGE);
  CHECK(strcmp(granary_error(), "baggage refused: the baggage of the call would be over 8 KiB") == 0);
}

int main(void) {
  static void (*const tests[])(void) = {
      numbers_are_kept_as_json_text,
      what_another_language_wrote_is_read,
      a_value_of_another_type_is_an_error_that_shows_both,
      text_survives_every_escape,
      bytes_and_json_are_kept_as_they_are,
      a_refusal_is_told_by_case_and_words,
      a_scan_goes_through_all_pages_in_order,
      parts_of_json_are_found,
      a_call_goes_out_with_its_options_and_comes_back,
      a_failed_call_says_what_became_of_it,
      a_turn_knows_who_and_for_whom_it_runs,
  };
  size_t count = sizeof tests / sizeof tests[0];
  for (size_t at = 0; at < count; at++) {
    fake_reset();
    tests[at]();
  }
  fake_reset();
  printf("%zu tests, %d checks, %d failed\n", count, checks, failures);
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
