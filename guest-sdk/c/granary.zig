//! What a grain written in Zig uses of its host: `granary.h` with slices, optionals and error unions.
//!
//! `granary build` makes the module `granary` of this file. An exported function has the name and the types that `grain.h` declares:
//!
//! ```zig
//! const granary = @import("granary");
//!
//! /// A `@panic` ends the turn: it leaves no trace, and the caller is told the words.
//! pub const panic = granary.panic;
//!
//! export fn exports_demo_counter_counter_get() u64 {
//!     return granary.expect(granary.get(u64, "count")) orelse 0;
//! }
//!
//! export fn exports_demo_counter_counter_increment(by: u64) u64 {
//!     const count = exports_demo_counter_counter_get() + by;
//!     granary.expect(granary.set("count", count));
//!     return count;
//! }
//! ```
//!
//! The tutorial stands in `granary.h`; all of it is here as `granary.c`, with the types that an interface needs:
//! `granary.c.grain_string_t`, `granary.c.exports_demo_counter_…`.

const std = @import("std");

/// Everything of `granary.h` and `grain.h`.
pub const c = @import("bindings");

/// A WIT string or list of bytes comes from the heap that this frees.
pub const allocator = std.heap.c_allocator;

/// Why a helper failed. `message` has the words, `granary.h` says what each means.
pub const Error = error{
    WrongType,
    BadKey,
    TooLarge,
    ReadOnly,
    StateUnavailable,
    Overloaded,
    Deadlock,
    Timeout,
    Cancelled,
    Denied,
    NotFound,
    Invalid,
    GuestTrap,
    LimitExceeded,
    Conflict,
    Unavailable,
    UnknownOutcome,
    /// The method itself answered `err`.
    App,
};

/// In the order of `granary_status_t`, after GRANARY_OK and GRANARY_NONE.
const errors = [_]Error{
    error.WrongType,
    error.BadKey,
    error.TooLarge,
    error.ReadOnly,
    error.StateUnavailable,
    error.Overloaded,
    error.Deadlock,
    error.Timeout,
    error.Cancelled,
    error.Denied,
    error.NotFound,
    error.Invalid,
    error.GuestTrap,
    error.LimitExceeded,
    error.Conflict,
    error.Unavailable,
    error.UnknownOutcome,
    error.App,
};

/// What the last helper that failed has to say. Valid until the next one fails.
pub fn message() []const u8 {
    return std.mem.span(c.granary_error());
}

/// The value of a helper, or the end of the turn with its words.
pub fn expect(result: anytype) @typeInfo(@TypeOf(result)).error_union.payload {
    return result catch @panic(message());
}

/// For the root file: `pub const panic = granary.panic;`. The usual handler would look for files with symbols.
pub const panic = std.debug.FullPanic(endTurn);

extern fn write(file: c_int, bytes: [*]const u8, len: usize) isize;

fn endTurn(words: []const u8, _: ?usize) noreturn {
    _ = write(2, words.ptr, words.len);
    _ = write(2, "\n", 1);
    @trap();
}

/// A WIT string as a slice.
pub fn slice(string: c.grain_string_t) []u8 {
    return if (string.len == 0) &.{} else string.ptr[0..string.len];
}

/// A slice as a WIT string without a copy: for arguments of imported functions.
pub fn view(text: []const u8) c.grain_string_t {
    // An empty slice may point anywhere; WIT wants a place within memory even for no bytes.
    const bytes: []const u8 = if (text.len == 0) "" else text;
    return .{ .ptr = @constCast(bytes.ptr), .len = bytes.len };
}

/// A slice as a WIT string on the heap: for results.
pub fn copy(text: []const u8) c.grain_string_t {
    return view(allocator.dupe(u8, text) catch @panic("out of memory"));
}

/// Whether a helper gave a value; false for GRANARY_NONE.
fn check(status: c.granary_status_t) Error!bool {
    const number: usize = @intCast(status);
    return if (number < 2) number == 0 else errors[number - 2];
}

/// The value under a key, or null. Integers, floats and booleans are read; a `[]u8` is a text, which `allocator` frees.
pub fn get(comptime T: type, key: [:0]const u8) Error!?T {
    switch (@typeInfo(T)) {
        .int => |int| {
            var wide: if (int.signedness == .signed) i64 else u64 = undefined;
            const found = if (int.signedness == .signed) c.granary_get_i64(key, &wide) else c.granary_get_u64(key, &wide);
            if (!try check(found)) return null;
            return std.math.cast(T, wide) orelse wrongType(T, key);
        },
        .float => {
            var wide: f64 = undefined;
            return if (try check(c.granary_get_f64(key, &wide))) @floatCast(wide) else null;
        },
        .bool => {
            var value: bool = undefined;
            return if (try check(c.granary_get_bool(key, &value))) value else null;
        },
        else => {
            if (T != []u8) @compileError("a state value is an integer, a float, a bool or a text ([]u8); see getJson");
            var text: c.grain_string_t = undefined;
            return if (try check(c.granary_get_string(key, &text))) slice(text) else null;
        },
    }
}

/// Puts an integer, a float, a boolean or a text under a key.
pub fn set(key: [:0]const u8, value: anytype) Error!void {
    const status = switch (@typeInfo(@TypeOf(value))) {
        .comptime_int => return set(key, @as(if (value < 0) i64 else u64, value)),
        .int => |int| if (int.signedness == .signed) c.granary_set_i64(key, value) else c.granary_set_u64(key, value),
        .float, .comptime_float => c.granary_set_f64(key, value),
        .bool => c.granary_set_bool(key, value),
        else => c.granary_set_string(key, view(value)),
    };
    _ = try check(status);
}

/// A struct, a list or anything else that `std.json` can read, or null. `deinit` frees it.
pub fn getJson(comptime T: type, key: [:0]const u8) Error!?std.json.Parsed(T) {
    var text: c.grain_string_t = undefined;
    if (!try check(c.granary_get_json(key, &text))) return null;
    defer c.grain_string_free(&text);
    const options: std.json.ParseOptions = .{ .ignore_unknown_fields = true, .allocate = .alloc_always };
    return std.json.parseFromSlice(T, allocator, slice(text), options) catch wrongType(T, key);
}

fn wrongType(comptime T: type, key: [:0]const u8) Error {
    var text: c.grain_string_t = undefined;
    if (try check(c.granary_get_json(key, &text))) {
        defer c.grain_string_free(&text);
        _ = c.granary_wrong_type(key, @typeName(T), text);
    }
    return error.WrongType;
}

/// Puts anything that `std.json` can write under a key.
pub fn setJson(key: [:0]const u8, value: anytype) Error!void {
    const text = std.json.Stringify.valueAlloc(allocator, value, .{}) catch @panic("out of memory");
    defer allocator.free(text);
    _ = try check(c.granary_set_json(key, view(text)));
}

/// Removes a key. Removing one that is not there is no error.
pub fn delete(key: [:0]const u8) Error!void {
    _ = try check(c.granary_delete(key));
}

/// Every key that starts with `prefix`, in the order of the keys: `var scan = granary.scan("item/"); while (try scan.next()) |entry| …`.
/// A loop that is left early says `scan.deinit()`.
pub fn scan(prefix: [:0]const u8) Scan {
    return .{ .inner = c.granary_scan(prefix) };
}

/// The iterator behind `scan`.
pub const Scan = struct {
    inner: c.granary_scan_t,

    /// One key and its bytes, until the next one is fetched.
    pub const Entry = struct { key: []const u8, value: []const u8 };

    /// The next entry, or null after the last.
    pub fn next(self: *Scan) Error!?Entry {
        if (!try check(c.granary_next(&self.inner))) return null;
        const value = self.inner.value;
        return .{ .key = slice(self.inner.key), .value = if (value.len == 0) "" else value.ptr[0..value.len] };
    }

    /// Ends a scan that is not read to its end.
    pub fn deinit(self: *Scan) void {
        c.granary_scan_end(&self.inner);
    }
};

/// Calls a method of the grain `kind/key`. `arguments` is a tuple in the order of the parameters: `.{ "milk", 3 }`. The answer is the
/// JSON of the result (of the value of its `ok`), which `allocator` frees. With `error.App`, `message` ends in the JSON of the `err`.
pub fn call(kind: [:0]const u8, key: [:0]const u8, method: [:0]const u8, arguments: anytype) Error![]u8 {
    const text = argumentsText(arguments);
    defer allocator.free(text);
    var answer: c.grain_string_t = undefined;
    _ = check(c.granary_call(kind, key, method, text, &answer)) catch |failed| {
        c.grain_string_free(&answer);
        return failed;
    };
    return slice(answer);
}

/// Sends a message without waiting. It leaves only if this turn commits, and is handled once. Held back for `delay` nanoseconds.
pub fn send(delay: u64, kind: [:0]const u8, key: [:0]const u8, method: [:0]const u8, arguments: anytype) Error!void {
    const text = argumentsText(arguments);
    defer allocator.free(text);
    _ = try check(c.granary_send_after(delay, kind, key, method, text));
}

fn argumentsText(arguments: anytype) [:0]u8 {
    return std.fmt.allocPrintSentinel(allocator, "{f}", .{std.json.fmt(arguments, .{})}, 0) catch @panic("out of memory");
}
