//! Tests of granary.zig over granary.c and the host of fake.c. See the Makefile.

const std = @import("std");
const granary = @import("granary");
/// `granary.h`, `grain.h` and `fake.h`.
const c = granary.c;

const equal = std.testing.expectEqual;
const equalText = std.testing.expectEqualStrings;

fn stored(key: [:0]const u8) []const u8 {
    var json: c.grain_string_t = undefined;
    return if (c.granary_get_json(key, &json) == c.GRANARY_OK) granary.slice(json) else "";
}

test "a value is null, written, read" {
    c.fake_reset();
    try equal(null, try granary.get(u64, "count"));
    try granary.set("count", @as(u64, 18446744073709551615));
    try equalText("18446744073709551615", stored("count"));
    try equal(18446744073709551615, (try granary.get(u64, "count")).?);
    try granary.set("delta", -7);
    try equal(-7, (try granary.get(i8, "delta")).?);
    try granary.set("ratio", 0.5);
    try equal(0.5, (try granary.get(f32, "ratio")).?);
    try granary.set("paid", true);
    try equal(true, (try granary.get(bool, "paid")).?);
    try granary.set("name", "Ada \"A\"");
    try equalText("\"Ada \\\"A\\\"\"", stored("name"));
    try equalText("Ada \"A\"", (try granary.get([]u8, "name")).?);
    try granary.delete("name");
    try equal(null, try granary.get([]u8, "name"));
}

test "what does not fit its type is an error, and stays" {
    c.fake_reset();
    try granary.set("count", 300);
    try equal(error.WrongType, granary.get(u8, "count"));
    try equalText("the value under `count` is read as u8, but was written as 300", granary.message());
    try equal(error.WrongType, granary.get(bool, "count"));
    try equalText("the value under `count` is read as a boolean, but was written as 300", granary.message());
    try equalText("300", stored("count"));
}

test "a record is kept as JSON" {
    c.fake_reset();
    const Item = struct { sku: []const u8, count: u32 = 1 };
    try equal(null, try granary.getJson([]Item, "items"));
    try granary.setJson("items", [_]Item{ .{ .sku = "a" }, .{ .sku = "b", .count = 2 } });
    try equalText("[{\"sku\":\"a\",\"count\":1},{\"sku\":\"b\",\"count\":2}]", stored("items"));
    const items = (try granary.getJson([]Item, "items")).?;
    defer items.deinit();
    try equal(2, items.value.len);
    try equalText("b", items.value[1].sku);
    try equal(error.WrongType, granary.getJson(Item, "items"));
}

test "a scan goes through all pages" {
    c.fake_reset();
    for (0..5) |at| {
        var key: [16]u8 = undefined;
        try granary.set(try std.fmt.bufPrintSentinel(&key, "item/{d}", .{at}, 0), @as(u64, at));
    }
    var scan = granary.scan("item/");
    var count: usize = 0;
    while (try scan.next()) |entry| : (count += 1) {
        try equalText("item/", entry.key[0..5]);
        try equalText(entry.key[5..], entry.value);
    }
    try equal(5, count);
    var left = granary.scan("item/");
    _ = try left.next();
    left.deinit();
    try equal(null, try left.next());
}

test "a refusal has its name and its words" {
    c.fake_reset();
    c.fake.refuse_state = "because";
    c.fake.refuse_code = c.GRANARY_GRAIN_STATE_STATE_ERROR_CODE_READ_ONLY;
    try equal(error.ReadOnly, granary.set("count", 1));
    try equalText("state is read-only here: because", granary.message());
}

test "a call goes out with its arguments, and comes back or fails" {
    c.fake_reset();
    c.fake.answer = "4";
    try equalText("4", try granary.call("stock", "sku-7", "take", .{ "milk", 3 }));
    try equalText("call stock/sku-7 take [\"milk\",3]", std.mem.span(c.fake.called));
    try granary.send(9, "audit", "2031", "taken", .{});
    try equalText("send audit/2031 taken []", std.mem.span(c.fake.called));
    try equal(9, c.fake.timeout);
    c.fake.call_error = "\"empty\"";
    const cases = [_]granary.Error{ error.Overloaded, error.Deadlock, error.Timeout, error.Cancelled, error.Denied, error.NotFound, error.Invalid, error.GuestTrap, error.LimitExceeded, error.Conflict, error.Unavailable, error.UnknownOutcome, error.App };
    for (cases, 0..) |case, code| {
        c.fake.call_code = @intCast(code);
        try equal(case, granary.call("stock", "sku-7", "take", .{}));
    }
    try equalText("answered: \"empty\"", granary.message());
}

test "text goes both ways" {
    var text = granary.copy("ä→🌾");
    try equalText("ä→🌾", granary.slice(text));
    c.grain_string_free(&text);
    try equalText("", granary.slice(granary.copy("")));
    try equalText("view", granary.slice(granary.view("view")));
}
