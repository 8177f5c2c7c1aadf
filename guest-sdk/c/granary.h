/*
 * granary.h: what a grain written in C uses of its host.
 *
 * A grain is an actor with a name, `kind/key`, and a state that survives. Its code is a WebAssembly component; its interface is
 * the component's own WIT. This header is comfort over the functions that `granary build` generates from WIT into `grain.h`; a
 * component that is written with those alone is a grain, too.
 *
 * A FIRST GRAIN
 *
 * The interface, in `wit/counter.wit`:
 *
 *     package demo:counter@0.1.0;
 *
 *     interface counter {
 *       increment: func(by: u64) -> u64;
 *       get: func() -> u64;
 *     }
 *
 *     world grain {
 *       include granary:grain/imports@0.1.0;
 *       export counter;
 *     }
 *
 * The code, in `src/counter.c`. Every exported function has the name that `grain.h` declares:
 *
 *     #include "granary.h"
 *
 *     uint64_t exports_demo_counter_counter_get(void) {
 *       uint64_t count = 0;
 *       granary_expect(granary_get_u64("count", &count));
 *       return count;
 *     }
 *
 *     uint64_t exports_demo_counter_counter_increment(uint64_t by) {
 *       uint64_t count = exports_demo_counter_counter_get() + by;
 *       granary_expect(granary_set_u64("count", count));
 *       return count;
 *     }
 *
 * `granary.toml` makes a kind of it:
 *
 *     [kinds.counter]
 *     build = "."
 *     language = "c"
 *
 *     [kinds.counter.methods.get]
 *     mode = "read"
 *
 * `granary dev` builds it, runs it, and builds it again when a file changes:
 *
 *     $ curl -d 5 localhost:7420/g/counter/visits/increment
 *     5
 *
 * WHAT A TURN IS
 *
 * One call is one turn, and a grain has one turn at a time. What the turn writes to the state and the messages that it sends are
 * committed together when it ends, and the answer leaves after that. A turn that ends in `granary_panic`, in a failed `assert` or
 * in `abort` leaves nothing, and the caller is told the words. So `granary_expect` is a fair answer to an error that leaves
 * nothing to do.
 *
 * Static variables are the activation's own: fast, and gone when the grain goes to rest. What is printed goes to the grain's log.
 *
 * The stack has 1 MiB, and counts as memory of the activation; `stack = "4MiB"` beside `language` in `granary.toml` makes it another
 * size. A stack that overflows is a trap, and changes nothing.
 *
 * WHO FREES WHAT
 *
 * An exported function owns its arguments: it frees them when it is done (`grain_string_free`, `…_free` in `grain.h`). What it
 * returns must come from the heap, as `granary_copy` and `granary_format` make it, and is freed by the caller. A helper below that
 * hands out memory says so.
 *
 * ERRORS
 *
 * A helper that can fail answers a `granary_status_t`; `granary_error()` has the words. Nothing was changed then, and the turn goes
 * on: handle it, or end the turn with `granary_expect`.
 *
 * HOOKS
 *
 * Code around an activation needs a line in the world: `include granary:grain/with-lifecycle@0.1.0;`. Then `grain.h` declares
 * two functions to be written; `false` refuses the message that caused the activation:
 *
 *     bool exports_granary_grain_lifecycle_activate(
 *         exports_granary_grain_lifecycle_activate_reason_t reason, grain_string_t *err) {
 *       if (reason == EXPORTS_GRANARY_GRAIN_LIFECYCLE_ACTIVATE_REASON_RECOVERY) fprintf(stderr, "back again\n");
 *       bool locked = false;
 *       granary_expect(granary_get_bool("locked", &locked));
 *       if (locked) *err = granary_copy("the grain is locked");
 *       return !locked;
 *     }
 *
 *     void exports_granary_grain_lifecycle_deactivate(exports_granary_grain_lifecycle_deactivate_reason_t reason) {
 *       (void)reason;
 *     }
 *
 * State of older revisions is taken over the same way: `include granary:grain/with-migration@0.1.0;` and
 * `bool exports_granary_grain_migration_migrate(uint64_t from_revision, grain_string_t *err)`.
 */
#ifndef GRANARY_H
#define GRANARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "grain.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Failing ----------------------------------------------------------------------------------------------------------------- */

/* How a helper ended. */
typedef enum granary_status {
  GRANARY_OK,
  /* There is no value under the key: no error. */
  GRANARY_NONE,

  /* State: nothing was changed. */

  /* The value under the key is of another type, or a value cannot be written as JSON. */
  GRANARY_WRONG_TYPE,

  /* The cases of `state-error-code`, in its order. */

  /* The key is empty or longer than 512 bytes. */
  GRANARY_BAD_KEY,
  /* The value, or the state as a whole, would be larger than its limit. */
  GRANARY_TOO_LARGE,
  /* The running method is a `read` method: it may not write. */
  GRANARY_READ_ONLY,
  /* The store could not be read just now. */
  GRANARY_STATE_UNAVAILABLE,

  /* Calls: the cases of `call-error-code`, in its order. `wit/types.wit` says what each means for the called grain. */

  GRANARY_OVERLOADED,
  GRANARY_DEADLOCK,
  GRANARY_TIMEOUT,
  GRANARY_CANCELLED,
  GRANARY_DENIED,
  GRANARY_NOT_FOUND,
  GRANARY_INVALID,
  GRANARY_GUEST_TRAP,
  GRANARY_LIMIT_EXCEEDED,
  GRANARY_CONFLICT,
  GRANARY_UNAVAILABLE,
  GRANARY_UNKNOWN_OUTCOME,
  /* The method itself answered `err`. */
  GRANARY_APP,
} granary_status_t;

/* What the last helper that failed has to say. Valid until the next one fails. */
const char *granary_error(void);

/* Ends the turn with the words of `granary_error` unless `status` is GRANARY_OK or GRANARY_NONE. Answers whether there is a value. */
bool granary_expect(granary_status_t status);

/* Whether a failed call certainly left the called grain unchanged, so that it may simply be repeated. */
bool granary_had_no_effect(granary_status_t status);

/* Ends the turn: it leaves no trace, and the caller is told the file, the line and the words. Written like `printf`. */
#define granary_panic(...) granary_panic_at(__FILE_NAME__, __LINE__, __VA_ARGS__)
_Noreturn void granary_panic_at(const char *file, int line, const char *format, ...) __attribute__((__format__(__printf__, 3, 4)));

/* Text -------------------------------------------------------------------------------------------------------------------- */

/* A WIT string is UTF-8 with a length and no zero at its end. This prints one: `printf("%.*s", GRANARY_ARG(name))`. */
#define GRANARY_ARG(string) (int)(string).len, (const char *)(string).ptr

/* The text as a WIT string, without a copy: for arguments of imported functions. Not to be freed. */
grain_string_t granary_text(const char *text);

/* A copy on the heap: for results. */
grain_string_t granary_copy(const char *text);

/* A new string, written like `printf`. A zero follows its end, so that `.ptr` is a C string, too. */
grain_string_t granary_format(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));

/* Whether it is this text. */
bool granary_is(grain_string_t string, const char *text);

/* State ------------------------------------------------------------------------------------------------------------------- */

/*
 * The grain's own durable state: keys of text, values as JSON text, so that a kind can be written anew in another language and
 * keep its state. A turn sees its own writes at once. All of them are committed when it ends, or none.
 *
 * `get` leaves `*value` alone unless it answers GRANARY_OK: set it to what a missing value means. GRANARY_WRONG_TYPE says what was
 * asked for and what is there.
 */
granary_status_t granary_get_u64(const char *key, uint64_t *value);
granary_status_t granary_set_u64(const char *key, uint64_t value);
granary_status_t granary_get_i64(const char *key, int64_t *value);
granary_status_t granary_set_i64(const char *key, int64_t value);
granary_status_t granary_get_f64(const char *key, double *value);
/* Not-a-number and the infinities are GRANARY_WRONG_TYPE: JSON has no word for them. */
granary_status_t granary_set_f64(const char *key, double value);
granary_status_t granary_get_bool(const char *key, bool *value);
granary_status_t granary_set_bool(const char *key, bool value);
/* The text is the caller's to free. */
granary_status_t granary_get_string(const char *key, grain_string_t *value);
granary_status_t granary_set_string(const char *key, grain_string_t value);

/* JSON text as it is: for records and lists. See "JSON" on how to read and write it. The text is the caller's to free. */
granary_status_t granary_get_json(const char *key, grain_string_t *json);
granary_status_t granary_set_json(const char *key, grain_string_t json);
/* For a getter of one's own: GRANARY_WRONG_TYPE, with words on what was wanted and what is there. */
granary_status_t granary_wrong_type(const char *key, const char *wanted, grain_string_t json);

/* Bytes as they are. The bytes are the caller's to free. */
granary_status_t granary_get_bytes(const char *key, grain_list_u8_t *value);
granary_status_t granary_set_bytes(const char *key, const void *bytes, size_t len);

/* Removes a key. Removing one that is not there is no error. */
granary_status_t granary_delete(const char *key);

/*
 * Every key that starts with a prefix, in the order of the keys, with its bytes:
 *
 *     granary_scan_t scan = granary_scan("item/");
 *     while (granary_expect(granary_next(&scan))) {
 *       printf("%.*s\n", GRANARY_ARG(scan.key));
 *     }
 *
 * A loop that is left early says `granary_scan_end(&scan)`.
 */
typedef struct granary_scan {
  /* The entry's key and value, until the next one is fetched. */
  grain_string_t key;
  grain_list_u8_t value;

  /* Private. */
  grain_string_t prefix;
  granary_grain_state_page_t page;
  size_t at;
  bool begun;
} granary_scan_t;

granary_scan_t granary_scan(const char *prefix);
/* Fetches the next entry; GRANARY_NONE after the last, which also ends the scan. */
granary_status_t granary_next(granary_scan_t *scan);
void granary_scan_end(granary_scan_t *scan);

/* JSON -------------------------------------------------------------------------------------------------------------------- */

/*
 * Enough to write arguments and to read answers and records. Writing is `granary_format` with `granary_quote` for text. Reading
 * looks into the text where it lies; a part that is found points into it. All answer false, and leave `*found` alone, if there is
 * no such thing.
 */

/* A text as a JSON string, with its quotes. On the heap. */
grain_string_t granary_quote(grain_string_t text);

/* A member of an object. */
bool granary_member(grain_string_t json, const char *name, grain_string_t *found);
/* An item of an array, the first one is 0. */
bool granary_item(grain_string_t json, size_t index, grain_string_t *found);

/* Integers beyond 2^53 come from the host as a string of digits; both are read. */
bool granary_as_u64(grain_string_t json, uint64_t *found);
bool granary_as_i64(grain_string_t json, int64_t *found);
bool granary_as_f64(grain_string_t json, double *found);
bool granary_as_bool(grain_string_t json, bool *found);
/* The text without quotes and escapes, on the heap. */
bool granary_as_string(grain_string_t json, grain_string_t *found);

/* Calls ------------------------------------------------------------------------------------------------------------------- */

/* What may be said about a call. Everything left out has its usual value. */
typedef struct granary_call_options {
  /* Nanoseconds to wait at most; 0: as long as the turn may. */
  uint64_t timeout;
  /* A second call of the same method with the same key gets the first one's answer; NULL: none. */
  const char *idempotency_key;
} granary_call_options_t;

/*
 * Calls a method of the grain `kind/key` and waits for its answer. `arguments` is a JSON array in the order of the parameters:
 *
 *     grain_string_t answer;
 *     granary_status_t status = granary_call("stock", "sku-7", "take", "[3]", &answer);
 *
 * `*answer` is the caller's to free: the JSON of the result with GRANARY_OK (of the value of its `ok`), the JSON of the `err` value
 * with GRANARY_APP, and empty otherwise. NULL if nobody wants to know.
 */
granary_status_t granary_call(const char *kind, const char *key, const char *method, const char *arguments, grain_string_t *answer);
granary_status_t granary_call_with(granary_call_options_t options, const char *kind, const char *key, const char *method,
                                   const char *arguments, grain_string_t *answer);

/* Sends a message without waiting. It leaves only if this turn commits, and is handled once. */
granary_status_t granary_send(const char *kind, const char *key, const char *method, const char *arguments);
/* The same, held back for so many nanoseconds after the commit. */
granary_status_t granary_send_after(uint64_t delay, const char *kind, const char *key, const char *method, const char *arguments);

/* Context ----------------------------------------------------------------------------------------------------------------- */

/*
 * What a turn may know about itself. The rest is simple enough as `grain.h` has it: `granary_grain_context_deadline_remaining()`,
 * `…_is_cancelled()`, `…_revision()`, `…_activation_epoch()`. Every text here is the caller's to free.
 */

/* The key of the grain whose code is running. */
grain_string_t granary_key(void);
/* A grain's identity as people write it: `kind/key`. */
grain_string_t granary_id_text(granary_grain_types_grain_id_t id);
/* `kind/key` of the grain that called. False: the call came from outside. */
bool granary_caller(grain_string_t *id);
/* A value that an earlier caller in the chain attached. */
bool granary_baggage(const char *name, grain_string_t *value);
/* Attaches a value that travels with every call that this turn makes. GRANARY_TOO_LARGE beyond 8 KiB in all. */
granary_status_t granary_set_baggage(const char *name, const char *value);

#ifdef __cplusplus
}
#endif
#endif
