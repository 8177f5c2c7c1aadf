//! Every type there and back, every way to fail, and what a grain sees of its call.

const std = @import("std");
const granary = @import("granary");
const c = granary.c;

pub const panic = granary.panic;

const String = c.grain_string_t;

// Types: what came in is moved out again, so there is nothing to free and nothing to copy.

comptime {
    values("exports_test_torture_types_", .{
        .{ "boolean", bool },                                 .{ "unsigned8", u8 },
        .{ "unsigned16", u16 },                               .{ "unsigned32", u32 },
        .{ "unsigned64", u64 },                               .{ "signed8", i8 },
        .{ "signed16", i16 },                                 .{ "signed32", i32 },
        .{ "signed64", i64 },                                 .{ "float32", f32 },
        .{ "float64", f64 },                                  .{ "character", u32 },
        .{ "an_enum", c.exports_test_torture_types_color_t }, .{ "some_flags", c.exports_test_torture_types_rights_t },
    });
    pointers("exports_test_torture_types_", .{
        .{ "text", String },                                    .{ "bytes", c.grain_list_u8_t },
        .{ "numbers", c.grain_list_s64_t },                     .{ "texts", c.grain_list_string_t },
        .{ "pair", c.grain_tuple2_u8_string_t },                .{ "a_record", c.exports_test_torture_types_order_t },
        .{ "a_variant", c.exports_test_torture_types_shape_t }, .{ "outcomes", c.exports_test_torture_types_list_result_u32_string_t },
    });
    options("exports_test_torture_types_", .{ .{ "maybe", u32 }, .{ "maybe_maybe", c.grain_option_u32_t } });
}

fn values(comptime prefix: []const u8, comptime functions: anytype) void {
    for (functions) |function| {
        const T = function[1];
        const echo = struct {
            fn echo(value: T) callconv(.c) T {
                return value;
            }
        }.echo;
        @export(&echo, .{ .name = prefix ++ function[0] });
    }
}

fn pointers(comptime prefix: []const u8, comptime functions: anytype) void {
    for (functions) |function| {
        const T = function[1];
        const echo = struct {
            fn echo(value: *T, ret: *T) callconv(.c) void {
                ret.* = value.*;
            }
        }.echo;
        @export(&echo, .{ .name = prefix ++ function[0] });
    }
}

/// An option is a pointer that may be null on the way in, and a truth with a value on the way out.
fn options(comptime prefix: []const u8, comptime functions: anytype) void {
    for (functions) |function| {
        const T = function[1];
        const echo = struct {
            fn echo(maybe: ?*T, ret: *T) callconv(.c) bool {
                if (maybe) |value| ret.* = value.*;
                return maybe != null;
            }
        }.echo;
        @export(&echo, .{ .name = prefix ++ function[0] });
    }
}

// Trouble.

extern fn exit(status: c_int) noreturn;

export fn exports_test_torture_trouble_fail(words: *String, _: *u32, err: *String) bool {
    granary.expect(granary.set("failed", true));
    err.* = words.*;
    return false;
}

export fn exports_test_torture_trouble_throw(words: *String) void {
    granary.expect(granary.set("thrown", true));
    @panic(granary.slice(words.*));
}

export fn exports_test_torture_trouble_exit(status: u8) void {
    exit(status);
}

export fn exports_test_torture_trouble_abort() void {
    granary.expect(granary.set("aborted", true));
    std.process.abort();
}

export fn exports_test_torture_trouble_check(words: *String) void {
    granary.expect(granary.set("checked", true));
    std.debug.assert(words.len == 0);
}

export fn exports_test_torture_trouble_spin() void {
    while (true) {}
}

export fn exports_test_torture_trouble_hoard() void {
    while (true) {
        const block = granary.allocator.alloc(u8, 1 << 20) catch @panic("no memory");
        @memset(block, 1);
        std.mem.doNotOptimizeAway(block.ptr);
    }
}

export fn exports_test_torture_trouble_speak(line: *String) void {
    for ([_]c_int{ 1, 2 }) |file| {
        const text = std.fmt.allocPrint(granary.allocator, "{s}\n", .{granary.slice(line.*)}) catch @panic("no memory");
        defer granary.allocator.free(text);
        _ = write(file, text.ptr, text.len);
    }
    c.grain_string_free(line);
}

extern fn write(file: c_int, bytes: [*]const u8, len: usize) isize;

export fn exports_test_torture_trouble_has(key: *String) bool {
    defer c.grain_string_free(key);
    const name = terminated(key.*);
    defer granary.allocator.free(name);
    var value: String = undefined;
    const found = c.granary_expect(c.granary_get_json(name, &value));
    if (found) c.grain_string_free(&value);
    return found;
}

// Hooks.

export fn exports_granary_grain_lifecycle_activate(reason: u8, err: *String) bool {
    var value: String = undefined;
    if (c.granary_expect(c.granary_get_json("locked", &value))) {
        c.grain_string_free(&value);
        err.* = granary.copy("it is locked");
        return false;
    }
    const reasons = [_][]const u8{ "message", "recovery", "upgrade" };
    granary.expect(granary.set("activated", reasons[reason]));
    return true;
}

export fn exports_granary_grain_lifecycle_deactivate(_: u8) void {}

export fn exports_granary_grain_migration_migrate(from: u64, _: *String) bool {
    granary.expect(granary.set("migrated", from));
    return true;
}

// Journey.

export fn exports_test_torture_journey_call(kind: *String, key: *String, text: *String, ret: *String, err: *String) bool {
    defer for ([_]*String{ kind, key, text }) |argument| c.grain_string_free(argument);
    const kind_name = terminated(kind.*);
    defer granary.allocator.free(kind_name);
    const key_name = terminated(key.*);
    defer granary.allocator.free(key_name);
    const answer = granary.call(kind_name, key_name, "text", .{granary.slice(text.*)}) catch {
        err.* = granary.copy(granary.message());
        return false;
    };
    defer granary.allocator.free(answer);
    if (!c.granary_as_string(granary.view(answer), ret)) @panic("`text` answered no text");
    return true;
}

export fn exports_test_torture_journey_who(ret: *c.grain_tuple3_string_option_string_u32_t) void {
    var id: c.granary_grain_context_grain_id_t = undefined;
    c.granary_grain_context_self_id(&id);
    defer c.granary_grain_context_grain_id_free(&id);
    ret.f0 = c.granary_id_text(id);
    ret.f1.is_some = c.granary_caller(&ret.f1.val);
    var chain: c.granary_grain_context_list_grain_id_t = undefined;
    c.granary_grain_context_call_chain(&chain);
    defer c.granary_grain_context_list_grain_id_free(&chain);
    ret.f2 = @intCast(chain.len);
}

export fn exports_test_torture_journey_time_left() u64 {
    return c.granary_grain_context_deadline_remaining() / std.time.ns_per_ms;
}

export fn exports_test_torture_journey_baggage(name: *String, ret: *String) bool {
    defer c.grain_string_free(name);
    return c.granary_grain_context_baggage(name, ret);
}

export fn exports_test_torture_journey_onward(path: *String, ret: *String, err: *String) bool {
    defer c.grain_string_free(path);
    const whole = granary.slice(path.*);
    const end = std.mem.indexOfScalar(u8, whole, ' ') orelse whole.len;
    const rest = if (end < whole.len) whole[end + 1 ..] else "";
    const slash = std.mem.indexOfScalar(u8, whole[0..end], '/') orelse {
        ret.* = arrived();
        return true;
    };
    const kind = granary.allocator.dupeSentinel(u8, whole[0..slash], 0) catch @panic("no memory");
    defer granary.allocator.free(kind);
    const key = granary.allocator.dupeSentinel(u8, whole[slash + 1 .. end], 0) catch @panic("no memory");
    defer granary.allocator.free(key);
    const answer = granary.call(kind, key, "onward", .{rest}) catch {
        err.* = granary.copy(granary.message());
        return false;
    };
    defer granary.allocator.free(answer);
    if (!c.granary_as_string(granary.view(answer), ret)) @panic("`onward` answered no text");
    return true;
}

/// The end of the path.
fn arrived() String {
    var who: c.grain_tuple3_string_option_string_u32_t = undefined;
    exports_test_torture_journey_who(&who);
    defer c.grain_tuple3_string_option_string_u32_free(&who);
    const caller = if (who.f1.is_some) granary.slice(who.f1.val) else "";
    var name = granary.copy("trip");
    defer c.grain_string_free(&name);
    var trip: String = undefined;
    const found = c.granary_grain_context_baggage(&name, &trip);
    defer if (found) c.grain_string_free(&trip);
    const text = std.fmt.allocPrint(granary.allocator, "{s} {s} {d} {d} {s}", .{
        granary.slice(who.f0),
        caller,
        who.f2,
        exports_test_torture_journey_time_left(),
        if (found) granary.slice(trip) else "",
    }) catch @panic("no memory");
    defer granary.allocator.free(text);
    return granary.copy(text);
}

fn terminated(string: String) [:0]u8 {
    return granary.allocator.dupeSentinel(u8, granary.slice(string), 0) catch @panic("no memory");
}
