//! State: a number that survives, in Zig.
//!
//! `counter-zig/visits` and `counter-zig/sales` are two grains with a number each. Whatever a turn writes is committed before its answer
//! leaves; a turn that panics leaves no trace.

const granary = @import("granary");

/// The caller of a turn that panics is told the words.
pub const panic = granary.panic;

/// The number's place in the state.
const count_key = "count";

/// The memory of one activation: fast, and gone when the grain goes to rest.
var in_memory: u64 = 0;

export fn exports_demo_counter_counter_increment(by: u64) u64 {
    const count = exports_demo_counter_counter_get() +| by;
    granary.expect(granary.set(count_key, count));
    return count;
}

export fn exports_demo_counter_counter_get() u64 {
    return granary.expect(granary.get(u64, count_key)) orelse 0;
}

export fn exports_demo_counter_counter_increment_memory(by: u64) u64 {
    in_memory += by;
    return in_memory;
}
